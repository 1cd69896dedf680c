package launch

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
)

// What a node of 2 GiB with a screen, KVM and four cores makes of an operator's arguments, and another one.
func TestArguments(t *testing.T) {
	rich := facts{System: "disc", Available: 2 << 30, Processors: 4, Framebuffer: true, IP: "10.0.0.7",
		Share: "/r/share", Socket: "/s/screen", Secret: "/s/secret"}
	arm := rich
	arm.Guest, arm.KVM = arch.ARM64, errors.New("the guest is arm64, and this node amd64")
	armKVM := arm
	armKVM.KVM, armKVM.Processors = nil, 64
	poor := rich
	poor.KVM, poor.Framebuffer, poor.Processors = errors.New("no flag says so"), false, 1
	const (
		kvm     = " -accel kvm -cpu max -smp 4"
		tcg     = " -accel tcg,tb-size=64 -cpu max,la57=off"
		nic     = " -snapshot -netdev user,id=bt-net -device e1000,netdev=bt-net,romfile="
		screen  = " -display none -vnc unix:/s/screen -monitor none -usb -device usb-tablet"
		serial  = " -display none -machine graphics=off -monitor none -chardev stdio,id=bt-console,signal=off -serial chardev:bt-console"
		named   = " -name guest=disc -no-user-config"
		firmwre = " -L /r/share"
		virt    = " -machine virt,gic-version=max"
		armTCG  = " -cpu max,pauth-impdef=on -smp 4"
		armUEFI = " -snapshot -bios edk2-aarch64-code.fd"
		armNIC  = " -netdev user,id=bt-net -device virtio-net-pci,netdev=bt-net,romfile="
		armShow = " -display none -vnc unix:/s/screen -monitor none -device virtio-gpu-pci"
		armKeys = " -device qemu-xhci -device usb-kbd -device usb-tablet"
	)
	for _, tt := range []struct {
		name, args, display string
		facts               facts
		want                string // with MEM for what -m is
		face                Face
		notes               string
	}{
		{"a disc on a good node", "-cdrom disc.iso", "", rich, "-cdrom disc.iso" + named + kvm + " -m MEM" + nic + screen + firmwre, FaceScreen, ""},
		{"a disc on a poor node", "-cdrom disc.iso", "", poor, "-cdrom disc.iso" + named + tcg + " -m MEM" + nic + serial + firmwre, FaceTerminal, "emulated without KVM"},
		{"a screen is asked for and not there", "-cdrom disc.iso", catalog.DisplayScreen, poor,
			"-cdrom disc.iso" + named + tcg + " -m MEM" + nic + serial + firmwre, FaceTerminal, "no frame buffer"},
		{"on a serial line", "-fda a.img", catalog.DisplaySerial, rich, "-fda a.img" + named + kvm + " -m MEM" + nic + serial + firmwre, FaceTerminal, ""},
		{"on the network", "-fda a.img", catalog.DisplayVNC, rich, "-fda a.img" + named + kvm + " -m MEM" + nic +
			" -display none -object secret,id=bt-vnc,file=/s/secret -vnc 10.0.0.7:0,password-secret=bt-vnc -monitor none -usb -device usb-tablet" + firmwre,
			FaceRemote, "VNC at 10.0.0.7, port 5900"},
		{"all is said already", "-name x -m 256 -smp 2 -cpu qemu64 -accel tcg -nic none -snapshot -monitor none -hda d.img", "", rich,
			"-name x -m 256 -smp 2 -cpu qemu64 -accel tcg -nic none -snapshot -monitor none -hda d.img -no-user-config" +
				" -display none -vnc unix:/s/screen -usb -device usb-tablet" + firmwre, FaceScreen, ""},
		{"KVM is asked for, as the original's documentation has it", "-accel kvm -cpu host -cdrom disc.iso", "", poor,
			"-cpu max,la57=off -cdrom disc.iso" + named + " -accel tcg,tb-size=64 -m MEM" + nic + serial + firmwre, FaceTerminal, "ask for KVM, which this node does not have"},
		{"the node's own processor, without KVM", "-cpu host,+avx -cdrom d", "", poor,
			"-cpu max,la57=off,+avx -cdrom d" + named + " -accel tcg,tb-size=64 -m MEM" + nic + serial + firmwre, FaceTerminal, "emulated one (-cpu max)"},
		{"the node's own processor, emulated", "-accel tcg -cpu host -cdrom d", "", rich,
			"-accel tcg -cpu max,la57=off -cdrom d" + named + " -smp 4 -m MEM" + nic + screen + firmwre, FaceScreen, "emulated one (-cpu max)"},
		{"KVM with an interrupt controller in the kernel", "-machine pc,accel=kvm,kernel_irqchip=split", "", poor,
			"-machine pc" + named + tcg + " -m MEM" + nic + serial + firmwre, FaceTerminal, "ask for KVM"},
		{"KVM is asked for and there", "-enable-kvm -cpu host -cdrom disc.iso", "", rich,
			"-enable-kvm -cpu host -cdrom disc.iso" + named + " -smp 4 -m MEM" + nic + screen + firmwre, FaceScreen, ""},
		{"KVM as part of the machine", "-machine q35,accel=kvm", "", poor, "-machine q35" + named + tcg + " -m MEM" + nic + serial + firmwre, FaceTerminal, "KVM"},
		{"KVM or TCG", "-machine pc,accel=kvm:tcg", "", poor,
			"-machine pc,accel=kvm:tcg" + named + " -cpu max,la57=off -m MEM" + nic + serial + firmwre, FaceTerminal, ""},
		{"a window", "-display gtk -full-screen -cdrom d", "", rich, "-cdrom d" + named + kvm + " -m MEM" + nic + screen + firmwre, FaceScreen, "no windows on a node"},
		{"no graphics, as the original has it", "-nographic -hda d", "", rich,
			"-nographic -hda d" + named + kvm + " -m MEM" + nic + " -display none -machine graphics=off" + firmwre, FaceTerminal, ""},
		{"a serial line nobody sees", "-serial stdio -hda d", "", rich, "-serial stdio -hda d" + named + kvm + " -m MEM" + nic + screen + firmwre, FaceScreen, ""},
		{"in the background", "-daemonize -hda d", "", rich, "-hda d" + named + kvm + " -m MEM" + nic + screen + firmwre, FaceScreen, "the node watches QEMU itself"},
		{"a mouse of its own", "-usb -device usb-mouse", "", rich, "-usb -device usb-mouse" + named + kvm + " -m MEM" + nic +
			" -display none -vnc unix:/s/screen -monitor none" + firmwre, FaceScreen, ""},
		{"another machine", "-M microvm -kernel k", "", rich, "-M microvm -kernel k" + named + " -accel kvm -m MEM -snapshot -display none -vnc unix:/s/screen -monitor none" + firmwre, FaceScreen, ""},
		{"an arm64 guest of a PC", "-cdrom disc.iso", "", arm, "-cdrom disc.iso" + named + " -accel tcg,tb-size=64" + virt + armTCG + " -m MEM" + armUEFI + armNIC +
			armShow + armKeys + firmwre, FaceScreen, "the guest is arm64, and this node amd64"},
		{"an arm64 guest of an arm64 node, on a machine that is named", "-M virt,highmem=off -hda d", "", armKVM, "-M virt,highmem=off -hda d" + named + " -accel kvm -cpu max -smp 8 -m MEM" +
			armUEFI + armNIC + armShow + armKeys + firmwre, FaceScreen, ""},
		{"an arm64 guest with many processors", "-hda d", catalog.DisplaySerial, armKVM, "-hda d" + named + " -accel kvm" + virt + " -cpu max -smp 64 -m MEM" + armUEFI + armNIC + serial + firmwre,
			FaceTerminal, ""},
		{"an arm64 guest whose processor was the node's", "-M virt,gic-version=host,accel=kvm -cpu host -kernel Image -device ramfb -device usb-kbd", "", arm,
			"-M virt -cpu max,pauth-impdef=on -kernel Image -device ramfb -device usb-kbd" + named + " -accel tcg,tb-size=64 -smp 4 -m MEM -snapshot" + armNIC +
				" -display none -vnc unix:/s/screen -monitor none" + firmwre, FaceScreen, "ask for KVM, which this node does not have"},
		{"an arm64 guest with firmware of its own", "-drive if=pflash,file=code.fd,format=raw", "", arm, "-drive if=pflash,file=code.fd,format=raw" + named + " -accel tcg,tb-size=64" + virt +
			armTCG + " -m MEM -snapshot" + armNIC + armShow + armKeys + firmwre, FaceScreen, ""},
		{"a board", "-M raspi3b -kernel k", "", arm, "-M raspi3b -kernel k" + named + " -accel tcg,tb-size=64 -m MEM -snapshot -display none -vnc unix:/s/screen -monitor none" + firmwre, FaceScreen, ""},
	} {
		q := &catalog.QEMU{Display: tt.display, Guest: string(tt.facts.Guest)}
		m, err := arguments(q, strings.Fields(tt.args), tt.facts)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := slices.Clone(m.args)
		if i := slices.Index(got, "-m"); i >= 0 && strings.Contains(tt.want, " -m MEM") {
			got[i+1] = "MEM"
		}
		if strings.Join(got, " ") != tt.want || m.face != tt.face {
			t.Errorf("%s:\n\t%s (%d)\nwant\n\t%s (%d)", tt.name, strings.Join(got, " "), m.face, tt.want, tt.face)
		}
		if notes := strings.Join(m.notes, "; "); !strings.Contains(notes, tt.notes) || tt.notes == "" && notes != "" && tt.facts.KVM == nil {
			t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.notes)
		}
	}
}

// Whatever a node has, the guest's memory, QEMU's own, what may be written and the reserve fit into it; or it says so.
func TestGuestMemory(t *testing.T) {
	for mib := int64(64); mib < 64<<10; mib += 37 + mib/16 {
		for _, args := range []string{"-cdrom d", "-hda d", "-hda d -m 512", "-m 2G", "-m size=300M"} {
			for _, kvm := range []error{nil, errors.New("none")} {
				f := facts{System: "s", Available: mib << 20, Processors: 2, KVM: kvm}
				m, err := arguments(&catalog.QEMU{}, strings.Fields(args), f)
				var memory *MemoryError
				if errors.As(err, &memory) {
					if memory.Sum() <= f.Available {
						t.Errorf("%d MiB, %s: refused with a sum of %d", mib, args, memory.Sum())
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				opts := qemuargs.Parse(m.args)
				if sum := opts.Memory() + overhead(opts, f) + m.written + Reserve; sum > f.Available || opts.Memory() < leastGuest || m.written < leastWritten {
					t.Errorf("%d MiB, %s: %d MiB for the guest, %d to write, %d in all", mib, args, opts.Memory()>>20, m.written>>20, sum>>20)
				}
			}
		}
	}
}
