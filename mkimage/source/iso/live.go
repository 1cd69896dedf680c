package iso

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

// Live is an ISO image with a live system.
type Live struct{}

// Name implements source.Kind.
func (Live) Name() string { return "live ISO" }

// Example implements source.Kind.
func (Live) Example() source.Example {
	return source.Example{
		Source: "debian-live-12-amd64-standard.iso DIR/oss/debian",
		Becomes: "the images of its root file system as they are, with the kernel and modules in them (root); Debian live, Ubuntu, " +
			"Fedora and its kin, Arch, openSUSE and what kiwi makes. With --entry its boot menu's entry instead (kexec)",
	}
}

// Recognise implements source.Kind.
func (Live) Recognise(ctx context.Context, s *source.Source) (bool, error) {
	i, err := open(s)
	if i == nil || err != nil {
		return false, err
	}
	defer i.close()
	// A live system with something wrong is one; Import says what, unless it is asked for an entry of the boot menu.
	_, err = i.layout(ctx)
	return !errors.Is(err, errNotLive), ctx.Err()
}

// Import implements source.Kind.
func (Live) Import(ctx context.Context, j *source.Job) error {
	i, err := open(j.Source)
	if err != nil {
		return err
	}
	defer i.close()
	if len(j.Entries) > 0 {
		return i.installers(ctx, j)
	}
	l, err := i.layout(ctx)
	if err != nil {
		return err
	}
	s, err := j.NewSystem("")
	if err != nil {
		return err
	}
	s.Title = i.ownTitle()
	s.Comments[""] = "Made by " + self.Mkimage() + " import of the live ISO " + filepath.Base(j.Path) + " (" + l.name + ")."
	s.Root = &source.Root{Cmdline: l.cmdline(), Init: j.Init}
	s.Comments["cmdline"] = l.comment()
	if err := i.copyImages(ctx, j, s, l); err != nil {
		return err
	}
	outside, err := i.outsideKernels(ctx, j, l)
	if err != nil {
		return err
	}
	if err := j.FinishRoot(ctx, s, outside...); err != nil {
		return err
	}
	s.Title = cmp.Or(s.Title, i.title()) // an image that is named by nothing but its volume
	return nil
}

// copyImages fills a system's folder with the images of the root file system.
func (i *image) copyImages(ctx context.Context, j *source.Job, s *source.System, l *layout) error {
	if len(l.images) > 1 {
		s.Comments["root"] = "The layers of the root file system, lowest first, as they are on the ISO."
	}
	names := map[string]bool{source.KernelFile: true, source.ModulesFile: true}
	for _, file := range l.images {
		if l.nests {
			name, err := i.flatten(ctx, j, s, file)
			if err != nil {
				return err
			}
			s.Root.Images = append(s.Root.Images, name)
			continue
		}
		r, size, err := i.opened(file)
		if err != nil {
			return err
		}
		name := fileName(file, names)
		if err := j.CopyFile(ctx, s, name, r, size, file+" of the ISO, as it is"); err != nil {
			return err
		}
		s.Root.Images = append(s.Root.Images, name)
	}
	return nil
}

// outsideKernels are the kernels on the ISO, those of its boot menu first, as files of this machine.
func (i *image) outsideKernels(ctx context.Context, j *source.Job, l *layout) (list []source.OutsideKernel, err error) {
	var files []string
	for _, e := range l.entries {
		files = append(files, e.Kernel)
	}
	for _, pattern := range l.kernels {
		found, err := i.glob(pattern)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	var seen []string
	for _, file := range files {
		if slices.Contains(seen, file) || !i.isFile(file) || len(seen) >= maxKernels {
			continue
		}
		seen = append(seen, file)
		r, size, err := i.opened(file)
		if err != nil {
			return nil, err
		}
		if size > maxKernel {
			continue
		}
		path := filepath.Join(j.Temp, fmt.Sprintf("kernel-%d", len(seen)))
		if err := j.Copy(ctx, "read "+file, r, size, path); err != nil {
			return nil, err
		}
		list = append(list, source.OutsideKernel{Path: path, From: file + " of the ISO"})
	}
	return list, nil
}

// Limits of what is looked at as a kernel.
const (
	maxKernels = 8
	maxKernel  = 256 << 20
)

// layout is what a live ISO has.
type layout struct {
	// name is whose layout it is, for people.
	name string
	// images are the layers of the root file system, lowest first. nests says that there is one, and that the root file system may be in
	// a file of it.
	images []string
	nests  bool
	// entries are those of the boot menu that start the live system, the default one first; kernels are patterns of where the ISO has kernels.
	entries []entry
	kernels []string
	// needs are words of the command line that the running system itself reads; why says what for.
	needs []string
	why   string
}

// errNotLive means that an ISO has no live system.
var errNotLive = errors.New("it has no live system")

// layout finds out which layout the ISO has.
func (i *image) layout(ctx context.Context) (*layout, error) {
	entries, err := i.menu(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		entries = nil // the root may have a kernel
	}
	for _, find := range []func(context.Context, []entry) (*layout, error){i.casper, i.debian, i.arch, i.liveOS} {
		l, err := find(ctx, entries)
		if err != nil || l != nil {
			return l, err
		}
	}
	return nil, errNotLive
}

// startedBy are the entries whose command line has one of some words, the default one first.
func startedBy(entries []entry, keys ...string) []entry {
	var out []entry
	for _, e := range entries {
		for _, w := range words(e.Cmdline) {
			key, _, _ := strings.Cut(w, "=")
			if !slices.Contains(keys, w) && !slices.Contains(keys, key+"=") {
				continue
			}
			if e.Default {
				out = slices.Insert(out, 0, e)
			} else {
				out = append(out, e)
			}
			break
		}
	}
	return out
}

// value is what the first entry's command line says of a key; empty: nothing.
func value(entries []entry, key string) string {
	if len(entries) == 0 {
		return ""
	}
	v := ""
	for _, w := range words(entries[0].Cmdline) {
		if rest, ok := strings.CutPrefix(w, key+"="); ok {
			v = strings.Trim(rest, `"`)
		}
	}
	return v
}
