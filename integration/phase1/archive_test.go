package phase1

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// TestBootArchive boots phase 1's program with an archive of modules in place of its own, as a node does that starts a system's
// kernel: the kernel unpacks it, the network card gets its driver, and images of all file systems are mounted.
func TestBootArchive(t *testing.T) {
	t.Parallel()
	m, dir := build(t)
	compressor, err := archive.New(t.Context(), archive.MethodXZ, archive.MinLevel)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := image.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	files, err := kernel.Distribution(t.Context(), cache, arch.AMD64, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	modules, _, err := drivers.Archive(t.Context(), files.Vmlinuz, files.Modules, drivers.Selection{"e1000e"}, "", compressor)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, site.ImageDir, image.InitramfsFile))
	if err != nil {
		t.Fatal(err)
	}
	commands, own := m.Part(image.CommandsPart).Size, m.Part(image.ModulesPart).Size
	initramfs := filepath.Join(t.TempDir(), "initramfs")
	var joined []byte
	for _, part := range [][]byte{whole[:commands], whole[commands+own:], modules, images(t)} {
		joined = append(joined, make([]byte, -len(joined)&3)...)
		joined = append(joined, part...)
	}
	if err := os.WriteFile(initramfs, joined, 0o600); err != nil {
		t.Fatal(err)
	}

	c := start(t, files.Vmlinuz, initramfs, "-device", "e1000e")
	c.expect("# ")
	// It finds no link and no address, but the card.
	c.say("netup &")
	c.expect("network card: eth0")
	for _, fs := range fileSystems {
		c.say("modprobe loop; modprobe " + fs + "; mkdir /" + fs + "; mount -r -t " + fs + " -o loop /images/" + fs + " /" + fs + "; cat /" + fs + "/marker")
		c.expect("the marker of a root file system\r\n")
	}
	c.say("modprobe overlay; mkdir /rw /all; mount -t tmpfs none /rw; mkdir /rw/upper /rw/work; " +
		"mount -t overlay -o lowerdir=/ext4:/erofs:/squashfs,upperdir=/rw/upper,workdir=/rw/work none /all; cp /all/marker /all/copy; cat /rw/upper/copy")
	c.expect("the marker of a root file system\r\n")
	c.end()
}

// fileSystems are what images of root file systems may have (catalog.ImageFileSystems).
var fileSystems = []string{"squashfs", "erofs", "ext4"}

// images is a cpio archive with an image of each file system, in which there is a file marker.
func images(t *testing.T) []byte {
	t.Helper()
	source, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "marker"), []byte("the marker of a root file system\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	records := []cpio.Record{cpio.Directory("images", 0o755)}
	for _, fs := range fileSystems {
		file := filepath.Join(dir, fs)
		if fs == "ext4" { // whose maker wants a file of the size
			if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		command := map[string][]string{
			"squashfs": {need.Command(t, "mksquashfs", "squashfs-tools"), source, file, "-comp", "zstd", "-quiet", "-no-progress"},
			"erofs":    {need.Command(t, "mkfs.erofs", "erofs-utils"), "-zlz4hc", file, source},
			"ext4":     {need.Command(t, "mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-d", source, file},
		}[fs]
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command[0], err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, cpio.StaticFile("images/"+fs, string(content), 0o644))
	}
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
