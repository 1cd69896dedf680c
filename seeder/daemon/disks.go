package daemon

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/local"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// isRuntime reports whether a name is of something that nodes get beside systems.
func isRuntime(name string) bool {
	return qemuruntime.Is(name) || diskmodules.Is(name) || catalog.IsPhase1(name)
}

// diskArchives are the architectures for which mkimage has put the drivers of disks aside.
func diskArchives(s *site.Site) []arch.Arch {
	return slices.DeleteFunc(slices.Clone(arch.All), func(a arch.Arch) bool {
		info, err := os.Stat(filepath.Join(diskFolder(s, a), diskmodules.Archive))
		return err != nil || !info.Mode().IsRegular()
	})
}

func diskFolder(s *site.Site, a arch.Arch) string {
	return filepath.Join(s.Dir, site.ImageDir, image.Folder(a))
}

// storeDisks stores the drivers of disks for machines of an architecture.
func (f *follower) storeDisks(ctx context.Context, s *site.Site, a arch.Arch) (l store.Last, v store.Version, err error) {
	sys := site.System{
		Name: diskmodules.For(a), Title: "drivers of disks", Dir: diskFolder(s, a), Arch: string(a), Files: []string{diskmodules.Archive},
	}
	unpacked, err := unpackedSize(filepath.Join(sys.Dir, diskmodules.Archive))
	if err != nil {
		return l, v, fmt.Errorf("%w; run "+self.Mkimage()+" for the site again", err)
	}
	v, err = f.store.Import(ctx, sys, f.progress)
	l = store.LastOf(sys, v)
	l.Unpacked = unpacked
	return l, v, err
}

// unpackedSize is how much is in an archive, in bytes, with its tar headers.
func unpackedSize(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(r, diskmodules.MaxUnpacked+1))
	if err == nil && n > diskmodules.MaxUnpacked {
		err = fmt.Errorf("it has more than %d bytes in it", int64(diskmodules.MaxUnpacked))
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	return n, nil
}

// hasAddress reports whether a machine has an address: by what this machine's kernel knows of its own networks, or, of a machine behind a
// router, by the machine's reports.
func (d *daemon) hasAddress(mac string, addr netip.Addr) bool {
	if known := local.Neighbour(addr); known != "" {
		return known == mac
	}
	return slices.ContainsFunc(d.fleet.List(), func(n report.Node) bool { return n.MAC == mac && n.IP == addr.String() })
}

// impostor reports whether who speaks from an address for the machine with a MAC address is another machine that the site lists, by what
// this machine's kernel knows of its own networks. Of other addresses, as a router's or that of a wireless bridge, nothing can be said.
func (d *daemon) impostor(mac string, from netip.Addr) bool {
	is := local.Neighbour(from)
	return is != "" && is != mac && lists(d.current.Load(), is)
}

// lists reports whether a site lists a machine.
func lists(s *site.Site, mac string) bool {
	_, ok := slices.BinarySearchFunc(s.Machines, mac, func(m site.Machine, mac string) int { return strings.Compare(m.MAC, mac) })
	return ok
}
