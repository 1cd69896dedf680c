// Package pi fills a site's folder pi with what a Raspberry Pi 4 or 5 loads by TFTP: in go the firmware that the operator has, device
// trees, and the site's image for arm64; out come the files that the Pi's firmware asks for by name.
//
// A Pi 4 loads its firmware from there (start4.elf, fixup4.dat), a Pi 5 has it in its flash memory. Both load config.txt, the device tree of
// their board, the kernel that config.txt names, its initramfs, and cmdline.txt.
package pi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
	pifiles "github.com/boottorrent/boottorrent/templates/pi"
)

// Options say what to make the folder of. Site and Firmware are needed.
type Options struct {
	// Site is the site's directory.
	Site string
	// Firmware is a folder that has start4.elf in it, or where Debian's and Raspberry Pi OS's packages put it below; a package (.deb);
	// or the name of a package of the distribution.
	Firmware string
	// DeviceTrees is a folder of device trees that go before all others; empty: none.
	DeviceTrees string
	// Cache is mkimage's cache.
	Cache string
	Log   *slog.Logger
}

// Board is a model of Raspberry Pi.
type Board struct {
	Name string
	// Needs are the files without which it does not start.
	Needs []string
}

// Boards are those that can boot from the folder.
var Boards = []Board{
	{"Raspberry Pi 4", []string{"start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"}},
	{"Raspberry Pi 5", []string{"bcm2712-rpi-5-b.dtb"}},
}

// Made is a folder that was filled.
type Made struct {
	Dir string
	// Files is how many files were written, and Size how many bytes are in them, kernel and initramfs included.
	Files int
	Size  int64
	// Ready are the boards that can start from it. Lacks has for each other one what is missing.
	Ready []string
	Lacks []Lack
	// ForeignTrees are device trees of boards that are not the kernel's own, but the firmware's: the kernel may lack the board's drivers.
	ForeignTrees []string
}

// Lack is what a board is missing.
type Lack struct {
	Board string
	Files []string
}

// OptionError is an option that can't be meant so.
type OptionError struct{ message string }

// Error says which option and what to write.
func (e *OptionError) Error() string { return e.message }

// Make fills the folder. Files of the same names are replaced, others stay: folders with the names of serial numbers are the
// operator's. When no board could start from it, nothing is written.
func Make(ctx context.Context, o Options) (Made, error) {
	made := Made{Dir: filepath.Join(o.Site, site.PiDir)}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	im, err := readImage(o.Site)
	if err != nil {
		return made, err
	}
	temp, err := os.MkdirTemp("", "mkimage-pi-")
	if err != nil {
		return made, fmt.Errorf("make a folder for a package: %w", err)
	}
	defer os.RemoveAll(temp)
	firmware, err := o.firmware(ctx, temp)
	if err != nil {
		return made, err
	}
	files, err := o.collect(im, firmware)
	if err != nil {
		return made, err
	}
	made.judge(files, firmware)
	if len(made.Ready) == 0 {
		return made, fmt.Errorf("no Raspberry Pi could start from what is there: %s; see docs/pi.md for where these files come from", made.lacking())
	}
	if err := made.write(files, im); err != nil {
		return made, fmt.Errorf("fill %s: %w", made.Dir, err)
	}
	return made, nil
}

// collect finds the files to copy: paths by the names that they get. What the kernel brings goes before what the firmware brings, as
// its drivers were written for its own device trees.
func (o Options) collect(im *arm64Image, firmware string) (map[string]string, error) {
	files := map[string]string{}
	add := func(dir string, patterns ...string) error {
		for _, p := range patterns {
			found, err := filepath.Glob(filepath.Join(quoteGlob(dir), p))
			if err != nil {
				return err
			}
			for _, path := range found {
				name, err := filepath.Rel(dir, path)
				if err != nil {
					return err
				}
				if name = strings.ToLower(filepath.ToSlash(name)); files[name] == "" {
					files[name] = path
				}
			}
		}
		return nil
	}
	trees := []string{"bcm2711-rpi-*.dtb", "bcm2712*-rpi-*.dtb"}
	if o.DeviceTrees != "" {
		if err := errors.Join(add(o.DeviceTrees, trees...), add(filepath.Join(o.DeviceTrees, "broadcom"), trees...)); err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, &OptionError{fmt.Sprintf("there is no device tree of a Raspberry Pi 4 or 5 (bcm2711-rpi-4-b.dtb, bcm2712-rpi-5-b.dtb) in %s", o.DeviceTrees)}
		}
	}
	return files, errors.Join(
		add(im.deviceTrees(o.Cache), trees...),
		add(firmware, append(trees, "start4.elf", "fixup4.dat", "overlays/*.dtbo", "overlays/*.dtb")...))
}

// quoteGlob makes a path one that stands for itself in a pattern.
func quoteGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// judge finds out which boards can start from the files.
func (m *Made) judge(files map[string]string, firmware string) {
	for _, b := range Boards {
		missing := slices.DeleteFunc(slices.Clone(b.Needs), func(name string) bool { return files[name] != "" })
		if len(missing) > 0 {
			m.Lacks = append(m.Lacks, Lack{b.Name, missing})
			continue
		}
		m.Ready = append(m.Ready, b.Name)
		tree := b.Needs[len(b.Needs)-1]
		if filepath.Dir(files[tree]) == firmware {
			m.ForeignTrees = append(m.ForeignTrees, tree)
		}
	}
}

// lacking says what which board is missing.
func (m *Made) lacking() string {
	var parts []string
	for _, l := range m.Lacks {
		parts = append(parts, fmt.Sprintf("a %s lacks %s", l.Board, strings.Join(l.Files, ", ")))
	}
	return strings.Join(parts, "; ")
}

// write writes the folder's files.
func (m *Made) write(files map[string]string, im *arm64Image) error {
	for name, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := m.file(name, content); err != nil {
			return err
		}
	}
	if err := m.kernel(im); err != nil {
		return err
	}
	// The configuration comes last: the seeder takes the folder for whole when it is there.
	if err := m.file(pifiles.CmdlineFile, pifiles.Cmdline(im.Cmdline)); err != nil {
		return err
	}
	config, err := pifiles.Config(phase1.Kernel, phase1.Initramfs)
	if err != nil {
		return err
	}
	return m.file(pifiles.ConfigFile, config)
}

func (m *Made) file(name string, content []byte) error {
	path := filepath.Join(m.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	m.Files++
	m.Size += int64(len(content))
	return atomicfile.Write(path, content, 0o644)
}
