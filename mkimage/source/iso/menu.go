package iso

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bootmenu"
	"github.com/boottorrent/boottorrent/internal/bzimage"
)

// entry is an entry of the boot menu whose files are on the image.
type entry struct {
	bootmenu.Entry
	// arch is the kernel's architecture.
	arch arch.Arch
}

// menu are the entries that kexec can start; their numbers, from 1, are those of --entry.
func (i *image) menu(ctx context.Context) ([]entry, error) {
	m, err := bootmenu.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	var entries []entry
	var wrong error
	for _, e := range m.Entries {
		of, err := i.checkEntry(e)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%q in %s: %w", e.Title, m.File, err))
			continue
		}
		entries = append(entries, entry{e, of})
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("no entry of the boot menu can be started: %w", wrong)
	}
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.Default }) {
		entries[0].Default = true
	}
	return entries, nil
}

// checkEntry looks whether an entry's files are there, and whether the kernel is one for kexec.
func (i *image) checkEntry(e bootmenu.Entry) (arch.Arch, error) {
	head, err := i.head(e.Kernel, bzimage.HeaderSize)
	if err != nil {
		return "", err
	}
	header, err := bzimage.Parse(head)
	if err == nil {
		err = header.Kexec()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.Kernel, err)
	}
	for _, name := range e.Initrd {
		f, err := i.Open(name)
		if err != nil {
			return "", err
		}
		f.Close()
	}
	return arch.Arch(header.Arch), nil
}

// choose are the entries of the numbers that a person gave, or the default one.
func choose(entries []entry, numbers []int) ([]entry, error) {
	if len(numbers) == 0 {
		at := slices.IndexFunc(entries, func(e entry) bool { return e.Default })
		return entries[at : at+1], nil
	}
	var out []entry
	for at, n := range numbers {
		if n < 1 || n > len(entries) {
			return nil, fmt.Errorf("--entry %d: the boot menu has no such entry; these can be started:\n%s", n, list(entries))
		}
		if slices.Contains(numbers[:at], n) {
			return nil, fmt.Errorf("--entry %d is given twice", n)
		}
		out = append(out, entries[n-1])
	}
	return out, nil
}

// list are the entries with their numbers, for people.
func list(entries []entry) string {
	var b strings.Builder
	for i, e := range entries {
		mark := ""
		if e.Default {
			mark = " (the default)"
		}
		fmt.Fprintf(&b, "%4d  %s%s\n", i+1, e.Title, mark)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
