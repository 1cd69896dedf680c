package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// Accelerator is how QEMU runs a node's code.
type Accelerator struct {
	// Name is kvm or tcg.
	Name string
	// Argument is the value of QEMU's -accel.
	Argument string
	// Why says why it is not KVM; empty if it is.
	Why string
}

// tcg translates code: it works everywhere, ten times slower. The translation buffer would be a gigabyte a node.
const tcg = "tcg,thread=multi,tb-size=256"

// Accelerator is what nodes of this room get: KVM where it is usable, else TCG.
func (r *Room) Accelerator() Accelerator {
	why := kvmUnusable()
	if why == nil {
		return Accelerator{Name: "kvm", Argument: "kvm"}
	}
	return Accelerator{Name: "tcg", Argument: tcg, Why: why.Error()}
}

// kvmTime is how long the probe may take under KVM: some 0.2 s where KVM works, and as much under TCG. Nested in
// another virtual machine that emulates the processor's 16-bit mode it was seen to take 5 s, and Linux to hang for
// minutes at "Probing EDD".
const kvmTime = 2 * time.Second

// kvmUnusable probes KVM once a process: the answer belongs to the machine, and a bad one takes seconds to find.
var kvmUnusable = sync.OnceValue(func() error {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return fmt.Errorf("no KVM: %w", err)
	}
	if !virtualizes(string(info)) {
		return errors.New("no KVM: this processor does not show virtualization (vmx, svm)")
	}
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return fmt.Errorf("no KVM: %w", err)
	} else {
		f.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), kvmTime)
	defer cancel()
	err = probe(ctx, "kvm")
	if ctx.Err() != nil {
		return fmt.Errorf("KVM is too slow here: a boot sector that takes 0.2 s elsewhere has not finished after %s", kvmTime)
	}
	return err
})

// virtualizes says whether the text of /proc/cpuinfo has a processor with VMX or SVM. Clouds have a KVM without (pvm), which runs
// Linux but emulates firmware so far as it knows the instructions: OVMF stops in it.
func virtualizes(cpuinfo string) bool {
	return regexp.MustCompile(`(?m)^flags\s*:.*\b(vmx|svm)\b`).MatchString(cpuinfo)
}

// probe runs a boot sector that asks the BIOS 32 times for disks, as Linux does (arch/x86/boot/edd.c), under an
// accelerator.
func probe(ctx context.Context, accel string) error {
	dir, err := os.MkdirTemp("", "boottorrent-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sector := filepath.Join(dir, "sector")
	if err := os.WriteFile(sector, bootSector(), 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, tool("qemu-system-x86_64"),
		"-machine", "pc", "-accel", accel, "-m", "64", "-nodefaults", "-display", "none",
		"-drive", "if=ide,format=raw,snapshot=on,file="+escape(sector),
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", exitPort)).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2*exitValue+1 { // what isa-debug-exit makes of it
		return nil
	}
	return fmt.Errorf("QEMU with %s: %w: %s", accel, err, tail(string(out), 3))
}

// What the boot sector writes where when it is done.
const (
	exitPort  = 0x501
	exitValue = 0x31
)

// bootSector is a PC's boot sector: a BIOS loads its 512 bytes to 0x7c00 and jumps there in 16-bit mode.
func bootSector() []byte {
	code := []byte{
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0x8e, 0xc0, // mov es, ax
		0x8e, 0xd0, // mov ss, ax
		0xbc, 0x00, 0x7c, // mov sp, 0x7c00
		0xfb,       // sti
		0xb2, 0x80, // mov dl, 0x80: the first disk
		// next:
		0x52,             // push dx
		0xb8, 0x01, 0x02, // mov ax, 0x0201: read one sector
		0xb9, 0x01, 0x00, // mov cx, 1
		0x30, 0xf6, // xor dh, dh
		0xbb, 0x00, 0x80, // mov bx, 0x8000
		0xcd, 0x13, // int 0x13
		0x5a,       // pop dx
		0x52,       // push dx
		0xb4, 0x41, // mov ah, 0x41: are there extensions?
		0xbb, 0xaa, 0x55, // mov bx, 0x55aa
		0xcd, 0x13, // int 0x13
		0x5a,       // pop dx
		0xfe, 0xc2, // inc dl
		0x80, 0xfa, 0x90, // cmp dl, 0x90
		0x72, 0xe1, // jb next
		0xb0, exitValue, // mov al, exitValue
		0xba, exitPort & 0xff, exitPort >> 8, // mov dx, exitPort
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to the hlt
	}
	sector := make([]byte, 512)
	copy(sector, code)
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}
