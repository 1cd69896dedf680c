package kit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/site"
)

// RescueDisc is the disc of Debian's package RescuePackage: GRUB, up to its prompt.
const (
	RescueDisc    = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
	RescuePackage = "grub-rescue-pc"
)

// AddSystem adds a system with this config.yaml and these files.
func (s *Site) AddSystem(name, config string, files map[string][]byte) error {
	dir := s.Path(site.SystemsDir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, site.SystemFile), []byte(config), 0o644)
}

// AddRescue adds the rescue disc, which must be installed on this machine, with more of config.yaml.
func (s *Site) AddRescue(name, more string) error {
	dir := s.Path(site.SystemsDir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := replaceLink(RescueDisc, filepath.Join(dir, "rescue.iso")); err != nil {
		return err
	}
	return s.AddSystem(name, "dispname: GRUB rescue disc\nmethod: bin-qemu-x86_64\nargs: -cdrom rescue.iso\n"+more, nil)
}

// AddProber adds the program integration/prober for a GOARCH as a system of the method bin, with more of config.yaml.
func (s *Site) AddProber(ctx context.Context, name, arch, more string) error {
	dir := s.Path(site.SystemsDir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := s.Kit.run(ctx, "env", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "go", "build", "-trimpath", "-ldflags=-s -w",
		"-o", filepath.Join(dir, "prober"), module+"integration/prober")
	if err != nil {
		return err
	}
	return s.AddSystem(name, fmt.Sprintf("dispname: Prober (%s)\nmethod: bin\nbin: prober\n%s", name, more), nil)
}
