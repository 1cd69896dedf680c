package drivers

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// Firmware is a file that a module may ask for.
type Firmware struct {
	// Path is relative to lib/firmware.
	Path string
	// Content is uncompressed.
	Content []byte
}

// MissingFirmware is firmware that was not found.
type MissingFirmware struct {
	Path   string `json:"path"`
	Module string `json:"module"`
}

// findFirmware looks below dir for what the chosen modules may ask for. Most is optional, and a file that can't be read
// is as good as none.
func (s *Set) findFirmware(dir string) {
	seen := map[string]bool{}
	for _, m := range s.Modules {
		for _, name := range m.Firmware {
			if seen[name] {
				continue
			}
			seen[name] = true
			content, err := readFirmware(dir, name)
			if err != nil {
				s.MissingFirmware = append(s.MissingFirmware, MissingFirmware{Path: name, Module: m.Name})
				continue
			}
			s.Firmware = append(s.Firmware, Firmware{Path: name, Content: content})
		}
	}
	slices.SortFunc(s.Firmware, func(a, b Firmware) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(s.MissingFirmware, func(a, b MissingFirmware) int { return strings.Compare(a.Path, b.Path) })
}

// hasAny is whether any of the named files is there.
func hasAny(dir string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := firmwareFile(dir, name)
		return err == nil
	})
}

func readFirmware(dir, name string) ([]byte, error) {
	file, err := firmwareFile(dir, name)
	if err != nil {
		return nil, err
	}
	return readCompressed(file)
}

// firmwareFile finds a firmware file, as it is or compressed.
func firmwareFile(dir, name string) (string, error) {
	if dir == "" || !filepath.IsLocal(name) {
		return "", fs.ErrNotExist
	}
	for _, ending := range append([]string{""}, kmod.Compressions[:]...) {
		file := filepath.Join(dir, name+ending)
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() {
			return file, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fs.ErrNotExist
}
