package kernel

import (
	"context"
	"log/slog"
	"regexp"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/debian"
)

// instead is what to do where apt can't help.
const instead = "give a kernel with --kernel FILE --modules DIR"

// versioned matches the names of the packages that have a kernel in them, such as linux-image-6.1.0-37-amd64.
var versioned = regexp.MustCompile(`^linux-image-[0-9]`)

// wanted is the distribution's kernel: the one that linux-image-amd64 depends on.
func wanted(a arch.Arch) debian.Wanted {
	return debian.Wanted{Name: "linux-image-" + a.Debian(), Dependency: versioned, Instead: instead}
}

// Distribution returns the distribution's kernel for an architecture from the cache below cacheDir, and only if there is none downloads
// it, some 70 MB, with apt. It may be called by several processes at once.
func Distribution(ctx context.Context, cacheDir string, a arch.Arch, log *slog.Logger) (Files, error) {
	p, err := debian.Archive{Cache: cacheDir, Arch: a, Log: log}.Get(ctx, wanted(a))
	if err != nil {
		return Files{}, err
	}
	return unpacked(p.Dir, p.String())
}

// Update is Distribution, but asks apt for the newest kernel first. Which is the newest is as old as apt's lists.
func Update(ctx context.Context, cacheDir string, a arch.Arch, log *slog.Logger) (Files, error) {
	p, err := debian.Archive{Cache: cacheDir, Arch: a, Log: log}.Update(ctx, wanted(a))
	if err != nil {
		return Files{}, err
	}
	return unpacked(p.Dir, p.String())
}
