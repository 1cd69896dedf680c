package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// The same of the QEMU for arm64 guests.
func TestTryForARM64(t *testing.T) {
	i, dir := find(t, arch.ARM64), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "disk.img"), make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"-hda disk.img": "", "-cdrom disk.img": "", "-bios edk2-aarch64-code.fd -hda disk.img": "", "-M virt,gic-version=host,accel=kvm -cpu host -hda disk.img": "",
		"-drive if=virtio,file=disk.img,format=raw -device virtio-gpu-pci -nic user,model=virtio": "",
		"-M virt -cpu pentium": "unable to find CPU model", "-M pc": "unsupported machine type",
	} {
		sys := site.System{Name: "x", Dir: dir, Launch: catalog.Launch{Method: catalog.MethodQEMU, QEMU: &catalog.QEMU{Guest: "arm64", Args: strings.Fields(args)}}}
		if err := i.Try(t.Context(), sys); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// QEMU says what no list of ours knows; nothing in the system's folder is changed by asking it.
func TestTry(t *testing.T) {
	need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	i, err := Find(arch.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"disk.img", "my,disk.img"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "half.qcow2"), []byte("QFI\xfb\x00\x00\x00\x03"), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"-hda disk.img": "", "disk.img": "", "-drive file=my,,disk.img,format=raw,if=virtio": "", "-hda my,disk.img": "",
		"-enable-kvm -cpu host -m 64G -smp 4 -hda disk.img":                         "",
		"-machine q35,accel=kvm,kernel_irqchip=split -hda disk.img":                 "",
		"-nographic -serial file:log -chardev socket,id=a,path=x -cdrom disk.img":   "",
		"-chardev file,id=a,path=log -device isa-serial,chardev=a -debugcon file:x": "",
		"-device usb-host,hostbus=1 -device vfio-pci,host=1":                        "",
		// What is on other machines is the nodes' business: none of these answers here.
		"-hda nbd:127.0.0.1:1":                                                                                 "",
		"-drive file=http://127.0.0.1:1/x.iso,media=cdrom":                                                     "",
		"-drive if=virtio,driver=nbd,host=127.0.0.1,port=1":                                                    "",
		"-drive if=virtio,file.driver=nbd,file.host=127.0.0.1,file.port=1":                                     "",
		"-netdev stream,id=a,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=1 -device e1000,netdev=a": "",
		"-nic user,hostfwd=tcp::1-:22":                                                                         "",
		"-name {{.System}} -smbios type=1,serial={{.MAC}}":                                                     "",
		"-device rtl8140 -hda disk.img":                                                                        "'rtl8140' is not a valid device model name",
		"-machine pc-9.9":                                                                                      "unsupported machine type",
		"-hdaa disk.img":                                                                                       "invalid option",
		"-cpu pentium9":                                                                                        "unable to find CPU model",
		"-m lots -object memory-backend-ram,id=a,size=1M":                                                      "Parameter 'size' expects",
		"-drive file=disk.img,iff=ide":                                                                         "option 'iff'",
		"-hda half.qcow2 -drive file=half.qcow2,format=qcow2":                                                  "qcow2",
		"-vga bochs":                  "unknown vga type",
		"-device e1000,netdev=absent": "absent",
	} {
		sys := site.System{Name: "x", Dir: dir, Launch: catalog.Launch{Method: catalog.MethodQEMU, QEMU: &catalog.QEMU{Args: strings.Fields(args)}}}
		err := i.Try(t.Context(), sys)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("in the folder is now %v, %v", entries, err)
	}
}
