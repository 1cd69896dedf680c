package integration

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/internal/need"
)

// rootsMade are the root file systems of Debian's packages, and the kernels of the root Debian, which are made or unpacked once.
var rootsMade struct {
	once          sync.Once
	roots         *kit.Roots
	common, cloud kit.Kernel
	err           error
}

// roots returns the root file systems of Debian's packages with their two kernels: the common one, and the one for clouds.
func roots(t *testing.T) (r *kit.Roots, common, cloud kit.Kernel) {
	t.Helper()
	for command, pkg := range map[string]string{
		"mmdebstrap": "mmdebstrap", "mksquashfs": "squashfs-tools", "xorriso": "xorriso",
	} {
		need.Command(t, command, pkg)
	}
	k := base(t).Kit
	m := &rootsMade
	m.once.Do(func() {
		ctx := context.Background()
		if m.roots, m.err = kit.MakeRoots(ctx, os.Stderr); m.err != nil {
			return
		}
		if m.common, m.err = k.Kernel(ctx, m.roots, filepath.Join(shared.dir, "common"), false); m.err != nil {
			return
		}
		m.cloud, m.err = k.Kernel(ctx, m.roots, filepath.Join(shared.dir, "cloud"), true)
	})
	if m.err != nil {
		t.Fatal(m.err)
	}
	return m.roots, m.common, m.cloud
}

// matchKernel makes the room's phase 1 one with this kernel, if it is not: apt may have had a newer one when the root Debian was made.
func (r *room) matchKernel(k kit.Kernel) {
	r.t.Helper()
	want, err := os.ReadFile(k.Vmlinuz)
	r.must(err)
	have, err := os.ReadFile(r.site.Path("image", "vmlinuz"))
	r.must(err)
	if !bytes.Equal(want, have) {
		r.must(r.site.MakeImage(r.t.Context(), "--kernel", k.Vmlinuz, "--modules", k.Modules))
	}
}
