// Package drivers chooses the kernel modules of phase 1. In goes a folder lib/modules/VERSION and a [Selection]; out
// comes a [Set]: those modules, what they depend on, the firmware they ask for, and the index files (modules.dep,
// modules.alias, modules.softdep, modules.builtin) for just them, as depmod(8) would write them.
//
// All is read from the modules themselves (their .modinfo section) rather than from depmod's files, which a package that
// was only unpacked does not have.
package drivers

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// Module is one kernel module.
type Module struct {
	// Name is as lsmod shows it, with underscores.
	Name string
	// Path is relative to lib/modules/VERSION and ends in .ko, whether or not the file there is compressed.
	Path string
	// Content is the module, uncompressed and with its signature.
	Content []byte
	// Depends are the names of the modules it needs, directly; Pre and Post are those it would like to have loaded before
	// or after it (modprobe.d(5), softdep).
	Depends, Pre, Post []string
	// Aliases are patterns for the devices it drives (modalias) and other names of it.
	Aliases []string
	// Firmware are the files it may ask for, relative to lib/firmware.
	Firmware []string
	// Kernel is the release of the kernel that it was built for; empty if it doesn't say.
	Kernel string
}

// maxModule is the size in bytes above which a file is not taken for a module. The largest have some 40 MB.
const maxModule = 256 << 20

// readModule reads the module in file, whose path in the tree is path, with or without an ending for its compression.
func readModule(file, name string) (*Module, error) {
	content, err := readCompressed(file)
	if err != nil {
		return nil, fmt.Errorf("read the module %s: %w", file, err)
	}
	m := &Module{Name: kmod.Name(name), Path: kmod.Uncompressed(name), Content: content}
	if err := m.readInfo(); err != nil {
		return nil, fmt.Errorf("%s is not a kernel module: %w", file, err)
	}
	return m, nil
}

// readInfo reads the section .modinfo: KEY=VALUE, ended by NUL, again and again.
func (m *Module) readInfo() error {
	f, err := elf.NewFile(bytes.NewReader(m.Content))
	if err != nil {
		return err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return fmt.Errorf("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					m.Depends = append(m.Depends, kmod.Normalize(name))
				}
			}
		case "softdep":
			m.addSoft(value)
		case "vermagic":
			m.Kernel, _, _ = strings.Cut(value, " ")
		case "alias":
			m.Aliases = append(m.Aliases, value)
		case "firmware":
			m.Firmware = append(m.Firmware, value)
		}
	}
	return nil
}

// addSoft reads "pre: NAME… post: NAME…".
func (m *Module) addSoft(value string) {
	var list *[]string
	for _, word := range strings.Fields(value) {
		switch word {
		case "pre:":
			list = &m.Pre
		case "post:":
			list = &m.Post
		default:
			if list != nil {
				*list = append(*list, word)
			}
		}
	}
}

// readCompressed reads a file and uncompresses it by its ending, as modprobe does.
func readCompressed(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader
	switch path.Ext(file) {
	case ".gz":
		r, err = gzip.NewReader(f)
	case ".xz":
		r, err = xz.NewReader(f)
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(f); err == nil {
			defer d.Close()
			r = d
		}
	default:
		r = f
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(b) > maxModule {
		err = fmt.Errorf("it has more than %d bytes", maxModule)
	}
	return b, err
}
