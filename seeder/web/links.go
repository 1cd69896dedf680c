package web

import (
	"maps"
	"path"
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// Link is a path with what is found there.
type Link struct{ URL, Text string }

// Links are the paths that a person may want beside the page, those only that lead to something.
func (s *Server) Links() []Link {
	l := []Link{
		{URL: catalog.PathCatalog, Text: "the catalog"},
		{URL: catalog.PathSignature, Text: "its minisign signature"},
	}
	if s.cfg.Manifest != nil {
		l = append(l, Link{URL: catalog.PathManifest, Text: "what machines start before they have a catalog, with sizes and hashes"},
			Link{URL: catalog.PathManifestSignature, Text: "its minisign signature"})
	}
	if s.cfg.Nodes != nil {
		l = append(l, Link{URL: catalog.PathNodes, Text: "the nodes, as JSON"})
	}
	if s.cfg.Systems != nil {
		l = append(l, Link{URL: status.Path, Text: "what became of each system's folder, as JSON"})
	}
	if s.cfg.SelfTest != nil {
		l = append(l, Link{URL: pathSelfTest, Text: "what the self-test found, as JSON"})
	}
	if s.cfg.Metrics != nil {
		l = append(l, Link{URL: metrics.Path, Text: "metrics for Prometheus"})
	}
	for _, name := range s.bootFiles() {
		l = append(l, Link{URL: catalog.PathBoot + name, Text: bootText(name)})
	}
	return l
}

// bootFiles are the names below /boot/.
func (s *Server) bootFiles() []string {
	names := slices.Clone(bootfiles.Names)
	if s.cfg.Script != nil {
		names = append(names, path.Base(catalog.PathScript))
	}
	if s.cfg.Boot.Has(arch.ARM64, image.Kernel) {
		for _, name := range bootfiles.Names {
			names = append(names, path.Join(image.Folder(arch.ARM64), name))
		}
	}
	return append(names, slices.Sorted(maps.Keys(s.loaderFiles()))...)
}

func bootText(name string) string {
	of := ""
	if folder, base := path.Split(name); folder == image.Folder(arch.ARM64)+"/" {
		of, name = " for arm64", base
	}
	switch catalog.PathBoot + name {
	case catalog.PathKernel:
		return "phase 1's kernel" + of
	case catalog.PathInitrd:
		return "phase 1's initramfs" + of
	case catalog.PathUKI:
		return "both as one UEFI program" + of
	case catalog.PathScript:
		return "the iPXE script that starts phase 1"
	}
	return "a boot loader"
}
