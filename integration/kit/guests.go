package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/integration/tiny"
	"github.com/boottorrent/boottorrent/internal/arch"
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

// Append adds lines to a system's config.yaml.
func (s *Site) Append(name, lines string) error {
	f, err := os.OpenFile(s.Path(site.SystemsDir, name, site.SystemFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(lines)
	return errors.Join(err, f.Close())
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

// MakeOriginal makes the site one of the original BootTorrent, in an empty folder: its Boottorrent.yaml with the seeder's address
// and a range, and the three examples of its documentation, with files of ours: a kernel, given, with an initramfs, a floppy
// disk for QEMU, and a program.
func (s *Site) MakeOriginal(ctx context.Context, address, kernel string, disk []byte) error {
	vmlinuz, err := os.ReadFile(kernel)
	if err != nil {
		return err
	}
	err = s.AddSystem("linuxos", "dispname: TestOS # Friendly name to display\nmethod: kexec\nkernel: vmlinuz\ninitrd: initramfs.img\n"+
		"cmdline: break console=tty0 console=ttyS0,115200 # cmdline for the new kernel\n", map[string][]byte{"vmlinuz": vmlinuz})
	if err != nil {
		return err
	}
	modules, err := cardModules(ctx, arch.AMD64)
	if err != nil {
		return err
	}
	if err := tiny.Initrd(ctx, s.Path(site.SystemsDir, "linuxos", "initramfs.img"), arch.AMD64, modules); err != nil {
		return err
	}
	if err := s.AddProber(ctx, "hello", "amd64", ""); err != nil {
		return err
	}
	if err := os.Rename(s.Path(site.SystemsDir, "hello", "prober"), s.Path(site.SystemsDir, "hello", "hello")); err != nil {
		return err
	}
	for name, config := range map[string]string{
		"hello":  "dispname: TestBin # Friendly name to display\nmethod: bin\nbin: hello\nbinargs: \"<binary args>\"\n",
		"floppy": "dispname: TestOnQemu # Friendly name to display\nmethod: bin-qemu-x86_64\nargs: \"-fda test.img\" # Arguments to pass to Qemu\n",
	} {
		files := map[string][]byte{}
		if name == "floppy" {
			files["test.img"] = disk
		}
		if err := s.AddSystem(name, config, files); err != nil {
			return err
		}
	}
	return os.WriteFile(s.Path("Boottorrent.yaml"), []byte(fmt.Sprintf(`boottorrent:
    version: 0
    timeout: 120
    default_os: linuxos
    seed_time: 0
    host_ip: %s

dnsmasq:
    enable_dhcp: True
    # user: nobody
    interface: eth0
    bind_interfaces: True
    dhcp_range: "10.77.1.50,10.77.1.150,12h"
    enable_tftp: True

opentracker:
    enable: True
    port: 10001

aria2:
    bt_enable_lpd: False
    enable_peer_exchange: True
    console_log_level: error
`, address)), 0o644)
}
