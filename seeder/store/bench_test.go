package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// BenchmarkImport stores 1 GiB, and finds it stored after a restart.
func BenchmarkImport(b *testing.B) {
	const size = 1 << 30
	sys := site.System{
		Name: "big", Title: "big", Arch: "amd64", Dir: b.TempDir(), Files: []string{"vmlinuz", "initrd"},
		Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "vmlinuz", Initrd: []string{"initrd"}}},
	}
	for name, n := range map[string]int{"vmlinuz": 8 << 20, "initrd": size - 8<<20} {
		if err := os.WriteFile(filepath.Join(sys.Dir, name), content(1, n), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	timed := func() time.Duration {
		start := time.Now()
		s, err := Open(dir, discard())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Import(b.Context(), sys, nil); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	b.SetBytes(size)
	var restart time.Duration
	for b.Loop() {
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		timed()
		restart += timed()
	}
	b.ReportMetric(float64(restart.Microseconds())/float64(b.N)/1000, "restart-ms")
}
