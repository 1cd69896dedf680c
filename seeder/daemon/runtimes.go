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

// runtimeVersion is a stored runtime.
type runtimeVersion struct {
	store.Version
	unpacked int64
}

// NeedsQEMU reports whether a site has a system for which nodes need QEMU.
func NeedsQEMU(s *site.Site) bool {
	return slices.ContainsFunc(s.Systems, func(sys site.System) bool { return sys.Launch.QEMU != nil })
}

// runtimes packs and imports what the site's systems need on a node beside their files; nothing if they need nothing.
func (p *publisher) runtimes(ctx context.Context, s *site.Site) ([]runtimeVersion, error) {
	if !NeedsQEMU(s) {
		return nil, nil
	}
	installed, err := qemu.Find()
	if err != nil {
		return nil, err
	}
	modules := filepath.Join(s.Dir, site.ImageDir, qemuruntime.ImageModules)
	packed, err := installed.Pack(ctx, filepath.Join(s.Dir, site.StateDir, runtimeDir), modules, func() {
		p.log.Info("packing QEMU for the nodes; this takes some seconds", "program", installed.Binary)
	})
	if err != nil {
		return nil, err
	}
	packed.System.Title = packed.Version
	v, err := p.store.Import(ctx, packed.System, p.announce, p.progress)
	if err != nil {
		return nil, err
	}
	return []runtimeVersion{{v, packed.Unpacked}}, nil
}
