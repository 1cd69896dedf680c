package daemon

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/qemu"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// runtimeDir is the folder, below site.StateDir, in which the runtime is packed.
const runtimeDir = "runtime"

// NeedsQEMU reports whether a site has a system for which nodes need QEMU.
func NeedsQEMU(s *site.Site) bool {
	return slices.ContainsFunc(s.Systems, func(sys site.System) bool { return sys.Launch.QEMU != nil })
}

// packRuntime packs and stores what systems for QEMU need on a node beside their files.
func (f *follower) packRuntime(ctx context.Context, s *site.Site) (l store.Last, v store.Version, err error) {
	installed, err := qemu.Find()
	if err != nil {
		return l, v, err
	}
	modules := filepath.Join(s.Dir, site.ImageDir, qemuruntime.ImageModules)
	packed, err := installed.Pack(ctx, filepath.Join(s.Dir, site.StateDir, runtimeDir), modules, func() {
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
