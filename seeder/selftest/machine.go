package selftest

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/kballard/go-shellquote"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/qemu"
)

// qemu looks for the QEMU that nodes need for some systems, and asks it about their arguments.
func (in Input) qemu(ctx context.Context) []Finding {
	l := &list{about: "qemu"}
	guests := map[arch.Arch][]site.System{}
	for _, s := range in.Site.Systems {
		q := s.Launch.QEMU
		if q == nil {
			continue
		}
		if err := qemu.CheckNodes(s.Arch); err != nil {
			what, do, _ := strings.Cut(err.Error(), "; ")
			l.problem(fmt.Sprintf("%s: %s", filepath.Join(site.SystemsDir, s.Name, site.SystemFile), what), do)
			continue
		}
		guest := cmp.Or(arch.Arch(q.Guest), arch.AMD64)
		guests[guest] = append(guests[guest], s)
	}
	for _, guest := range arch.All {
		if len(guests[guest]) > 0 {
			tryGuests(ctx, l, guest, guests[guest])
		}
	}
	if len(guests) > 0 {
		in.qemuModules(l)
	}
	return l.found
}

// tryGuests asks the QEMU for guests of an architecture about systems.
func tryGuests(ctx context.Context, l *list, guest arch.Arch, systems []site.System) {
	installed, err := qemu.Find(guest)
	if err != nil {
		names := make([]string, len(systems))
		for i, s := range systems {
			names[i] = s.Name
		}
		what, do, _ := strings.Cut(err.Error(), ": ") // "… is not installed …: apt-get install …"
		l.problem(fmt.Sprintf("%s for %s", what, strings.Join(names, ", ")), do)
		return
	}
	for _, s := range systems {
		if refused := installed.Try(ctx, s); refused != nil {
			l.problem(fmt.Sprintf("%s: args: QEMU refuses them: %v", filepath.Join(site.SystemsDir, s.Name, site.SystemFile), refused),
				"correct args, and see: man "+qemuruntime.Program(guest))
		}
	}
}

// qemuModules looks for the kernel modules that go along with QEMU, in the image for this machine's architecture.
func (in Input) qemuModules(l *list) {
	dir := filepath.Join(in.Site.Dir, site.ImageDir, image.Folder(arch.Arch(runtime.GOARCH)))
	if err := qemu.CheckModules(dir, image.Kernel); err != nil {
		if _, gone := os.Stat(filepath.Join(dir, image.Manifest)); gone == nil { // otherwise there is no image at all
			l.warning(err.Error(), "run: "+self.Mkimage()+" "+shellquote.Join(in.Site.Dir))
		}
	}
}

// reserve is what a file system should have left beside the systems' copies, for leases, logs and the image.
const reserve = 256 << 20

// disk looks whether there is room for a copy of every system, unless it is there already or the file system shares blocks.
func (in Input) disk() []Finding {
	l := &list{about: "disk"}
	state := filepath.Join(in.Site.Dir, site.StateDir)
	var fsys unix.Statfs_t
	at := state
	for unix.Statfs(at, &fsys) != nil {
		if at == filepath.Dir(at) {
			return nil
		}
		at = filepath.Dir(at)
	}
	if fsys.Flags&unix.ST_RDONLY != 0 {
		l.problem(fmt.Sprintf("%s is on a file system that is mounted read-only, and the seeder keeps its copies of systems, leases and logs in %s",
			in.Site.Dir, state), "mount it writable, or move the site")
		return l.found
	}
	free := int64(fsys.Bavail) * fsys.Bsize
	copies := used(state)
	if need := in.systems(); !reflinks(fsys.Type) && need-copies > free-reserve {
		l.problem(fmt.Sprintf("the seeder serves a copy of every system, which takes %s, of which %s are there; the file system of %s has %s left",
			text.Size(need), text.Size(min(need, copies)), state, text.Size(free)),
			"make room, or make "+state+" a link to a folder where there is some")
	}
	return l.found
}

// reflinks reports whether copies share their blocks with the originals there.
func reflinks(kind int64) bool { return kind == unix.BTRFS_SUPER_MAGIC || kind == unix.XFS_SUPER_MAGIC }

// systems is how many bytes the files of all systems have on the disk.
func (in Input) systems() (sum int64) {
	for _, s := range in.Site.Systems {
		files := slices.Clone(s.Files)
		if boot, ok := s.BootPart(); ok {
			files = append(files, boot.Files...)
		}
		for _, name := range files {
			if info, err := os.Stat(s.Path(name)); err == nil {
				sum += blocks(info)
			}
		}
	}
	return sum
}

// used is how many bytes a folder has on the disk. A file with several names counts once.
func used(dir string) (sum int64) {
	linked := map[uint64]bool{}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
					if linked[stat.Ino] {
						return nil
					}
					linked[stat.Ino] = true
				}
				sum += blocks(info)
			}
		}
		return nil
	})
	return sum
}

// blocks is what a file takes, which of a sparse one is less than its size (stat(2): units of 512 bytes).
func blocks(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}
