package daemon

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/qemu"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// runtimeDir is the folder, below site.StateDir, in which the runtime for PCs as guests is packed. That for others is beside it.
const runtimeDir = "runtime"

// guestOf is the architecture of a system's guest, if it is a virtual machine.
func guestOf(sys catalog.System) (guest arch.Arch, ok bool) {
	q := sys.Launch.QEMU
	if q == nil {
		return "", false
	}
	if q.Guest == "" {
		return arch.AMD64, true
	}
	return arch.Arch(q.Guest), true
}

// guests are the architectures of guests for which nodes need a QEMU: of systems in the site, and of those that nodes get, perhaps from
// before. Systems that can't have one are not counted.
func guests(s *site.Site, offered []catalog.System) (wanted []arch.Arch) {
	for _, sys := range s.Systems {
		offered = append(offered[:len(offered):len(offered)], catalog.System{Arch: sys.Arch, Launch: sys.Launch})
	}
	for _, guest := range arch.All {
		if slices.ContainsFunc(offered, func(sys catalog.System) bool {
			of, ok := guestOf(sys)
			return ok && of == guest && qemu.CheckNodes(sys.Arch) == nil
		}) {
			wanted = append(wanted, guest)
		}
	}
	return wanted
}

// packRuntime packs and stores what systems for QEMU need on a node beside their files, for guests of an architecture.
func (f *follower) packRuntime(ctx context.Context, s *site.Site, guest arch.Arch) (l store.Last, v store.Version, err error) {
	installed, err := qemu.Find(guest)
	if err != nil {
		return l, v, err
	}
	modules := filepath.Join(s.Dir, site.ImageDir, image.Folder(arch.Arch(runtime.GOARCH)), qemuruntime.ImageModules)
	dir := filepath.Join(s.Dir, site.StateDir, runtimeDir+strings.TrimPrefix(qemuruntime.For(guest), qemuruntime.Name))
	packed, err := installed.Pack(ctx, dir, modules, func() {
		f.log.Info("packing QEMU for the nodes; this takes some seconds", "program", installed.Binary)
	})
	if err != nil {
		return l, v, err
	}
	packed.System.Title = packed.Version
	v, err = f.store.Import(ctx, packed.System, f.progress)
	l = store.LastOf(packed.System, v)
	l.Unpacked = packed.Unpacked
	return l, v, err
}
