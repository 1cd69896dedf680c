package daemon

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/web"
	"github.com/boottorrent/boottorrent/templates/grub"
	"github.com/boottorrent/boottorrent/templates/ipxe"
)

// originalLoader is the name of the original BootTorrent's boot loader.
const originalLoader = "pxelinux.0"

// tftpFiles are those that TFTP serves.
func (d *daemon) tftpFiles() map[string]string {
	files := d.loaders.Files()
	if d.Mirror != nil {
		maps.DeleteFunc(files, func(_, file string) bool { return !d.isSigned(file) })
	}
	if bios, ok := files[loaders.BIOS]; ok && d.Site.Original {
		// A DHCP server that was set up for the original names its boot loader.
		files = maps.Clone(files)
		files[originalLoader] = bios
	}
	return files
}

// isSigned reports whether a file is one that the site's key has signed.
func (d *daemon) isSigned(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = d.boot.Hash(file, f)
	return err == nil
}

// choose says what firmware boots.
func (d *daemon) choose(f loaders.Firmware) (loaders.Choice, error) {
	return d.loaders.Choose(d.current.Load().UEFI, f)
}

// script makes the iPXE script for a client that reached us at a host and port of ours.
func (d *daemon) script(r web.ScriptRequest) ([]byte, error) {
	base, start := "http://"+r.Host, d.feed.start().Images[r.Arch]
	p := ipxe.Params{
		Base: base, Kernel: d.boot.Path(r.Arch, image.Kernel), Initrd: d.boot.Path(r.Arch, image.Initramfs), Site: d.current.Load().Name,
		Args: []string{"bt.seeder=" + base, start.Cmdline},
	}
	if r.Arch == arch.ARM64 {
		p.Path = catalog.PathScriptARM64
	} else if start.Graphics {
		p.Graphics = image.Graphics
	}
	if shim := loaders.Shim(r.Arch); signedIPXE(r.Agent) && d.loaders.Has(shim) {
		p.Shim = catalog.PathBoot + shim
	}
	switch {
	case r.Known && d.impostor(r.Machine.MAC, r.From): // what was said for another machine is not used up by this one
	case r.Known:
		a := d.local.Ask(r.Machine)
		p.Disk, p.Wait = a.Disk, a.Wait
	default:
		p.Ask = d.local.Possible()
	}
	if p.Ask || p.Disk {
		return ipxe.Script(p) // it asks again, or loads phase 1 only where its disk fails
	}
	if !strings.HasPrefix(r.Agent, "iPXE") {
		return ipxe.Script(p) // somebody looks at it
	}
	turn := d.helpers.Turn(r.From, p.Kernel, p.Initrd)
	if turn.Wait > 0 {
		return ipxe.Wait(base, cmp.Or(p.Path, catalog.PathScript), turn.Before, int(turn.Wait.Seconds()), r.Known)
	}
	if p.Loaded = catalog.PathLoaded; turn.Helper.IsValid() {
		p.Helper, p.Stall = turn.Helper.String(), int(helpers.Stall.Milliseconds())
	}
	return ipxe.Script(p)
}

// machineForGRUB is what GRUB's script is told of a machine that asks for a path below grub.MachinePath.
func (d *daemon) machineForGRUB(path string) ([]byte, bool) {
	words := strings.Split(path, "/")
	mac, err := net.ParseMAC(words[0])
	if err != nil || len(mac) != 6 || len(words) != 3 {
		return nil, false
	}
	f := rules.Facts{MAC: mac.String(), Firmware: catalog.FirmwareUEFI}
	f.Addr, _ = netip.ParseAddr(words[1])
	if words[2] != "none" {
		f.UUID = strings.ToLower(words[2])
	}
	a := d.local.Ask(f)
	return grub.Machine(a.Disk, a.Wait), true
}

// signedIPXE reports whether an iPXE may be one that is signed for Secure Boot: the first such release is 2.0. It calls itself
// "iPXE/VERSION" to web servers.
func signedIPXE(agent string) bool {
	version, ok := strings.CutPrefix(agent, "iPXE/")
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return ok && err == nil && n >= 2
}

// grubCPU are GRUB's names of the architectures.
var grubCPU = map[arch.Arch]string{arch.AMD64: "x86_64", arch.ARM64: "arm64"}

// grubConfig makes the script for GRUB; local is the address that was asked.
func (d *daemon) grubConfig(local netip.Addr) ([]byte, error) {
	start := d.feed.start()
	base := "http://" + netip.AddrPortFrom(local, d.Site.Ports.HTTP).String()
	p := grub.Params{Server: local, Base: base, Site: d.current.Load().Name, Ask: d.local.Possible()}
	for _, a := range arch.All {
		if !d.boot.Has(a, image.Kernel) {
			continue
		}
		t := grub.Target{
			CPU: grubCPU[a], Kernel: d.boot.KernelForGRUB(a), Initrd: d.boot.Path(a, image.Initramfs),
			Cmdline: "bt.seeder=" + base + " " + start.Images[a].Cmdline,
		}
		p.Targets = append(p.Targets, t)
	}
	return grub.Script(p)
}

// tftpDocument makes what TFTP serves and is no file: GRUB's script, a kernel unpacked for GRUB, and what Raspberry Pis ask for.
func (d *daemon) tftpDocument(name string, local netip.Addr) ([]byte, bool) {
	if name == grub.Path {
		script, err := d.grubConfig(local)
		if err != nil {
			d.Log.Error("TFTP: the script for GRUB can't be made", "err", err)
		}
		return script, err == nil
	}
	if machine, ok := strings.CutPrefix(name, grub.MachinePath); ok {
		return d.machineForGRUB(machine)
	}
	kernel, err := d.boot.Unpacked(belowBoot(name))
	if err == nil {
		return kernel, true
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, bootfiles.ErrReplaced) {
		d.Log.Error("TFTP: the kernel can't be unpacked for GRUB", "err", err)
	}
	return d.pis().Document(name, local)
}

// belowBoot is a name without the folder of boot files, as GRUB's script has it.
func belowBoot(name string) string {
	return strings.TrimPrefix(name, strings.TrimPrefix(catalog.PathBoot, "/"))
}

// tftpOpen opens the images' files, by their plain names as DHCP tells them, and by those below /boot/, as GRUB's script has them.
func (d *daemon) tftpOpen(name string) (*os.File, error) {
	f, err := d.boot.Open(belowBoot(name))
	if err == nil {
		return f.File, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(name, "boot/") || path.Base(name) == image.UKI {
		return nil, err
	}
	return d.pis().Open(name)
}
