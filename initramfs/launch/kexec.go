package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	uroot "github.com/u-root/u-root/pkg/boot/kexec"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/kexec"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/initrd"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// kexecMethod starts a Linux kernel with kexec_file_load(2), or kexec_load(2) on arm64. The new kernel inherits the screen
// (screen_info, the firmware's frame buffer) and ACPI and EFI tables from this one (arch/x86/kernel/kexec-bzimage64.c), on arm64
// all but the screen.
type kexecMethod struct {
	// The system calls, which tests replace.
	load   func(kernel, initrd *os.File, cmdline string) error
	unload func() error
	loaded func() bool
	quiet  func() error
	reboot func() error
}

func newKexec() *kexecMethod {
	return &kexecMethod{
		load:   kexec.Load,
		unload: kexec.Unload,
		loaded: func() bool {
			b, err := os.ReadFile("/sys/kernel/kexec_loaded")
			return err == nil && strings.TrimSpace(string(b)) == "1"
		},
		quiet:  network.Down,
		reboot: uroot.Reboot,
	}
}

// Need is the peak of loading, see [kexec.Copies]. TestKexec measures it.
//
// Several initrds are appended to the first one's file, which takes the size of the others once more.
func (*kexecMethod) Need(sys catalog.System, files catalog.FileList) Memory {
	m := Memory{What: "kexec's copies of kernel and initrd"}
	k := sys.Launch.Kexec
	if k == nil {
		return m
	}
	size := files.Sizes()
	initrds := int64(0)
	for i, p := range k.Initrd {
		if i > 0 {
			initrds += initrd.MaxPadding
			m.Files += initrd.MaxPadding + size[p]
		}
		initrds += size[p]
	}
	m.Copies = kexec.Copies(size[k.Kernel], initrds)
	return m
}

// Load implements [Method]. The call into the kernel can't be interrupted; ctx is looked at before.
func (x *kexecMethod) Load(ctx context.Context, job Job) error {
	k := job.System.Launch.Kexec
	cmdline, err := catalog.Expand(k.Cmdline, job.Vars)
	if err != nil {
		return fmt.Errorf("start %s: its command line: %w", job.System.Name, err)
	}
	if x.loaded() {
		// An earlier one would take memory until this one is in place.
		if err := x.unload(); err != nil {
			job.logf("launch: the kernel loaded before could not be unloaded: %v", err)
		}
	}
	parts, err := job.parts(k.Initrd)
	if err != nil {
		return err
	}
	if job.MachineFiles.Len() > 0 {
		own, err := job.ownInitrd()
		if err != nil {
			return err
		}
		defer os.Remove(own.path) // kexec has copied it
		parts = append(parts, own)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", job.System.Name, err)
	}
	job.logf("launch: kexec %s with the command line: %s", k.Kernel, cmdline)
	if err := x.loadFiles(job, parts, cmdline); err != nil {
		split(parts)
		if errors.Is(err, unix.ENOEXEC) {
			err = whyNoKernel(filepath.Join(job.Dir, filepath.FromSlash(k.Kernel)), err)
		}
		return explainKexec(job.System, cmdline, err)
	}
	return nil
}

// loadFiles opens the kernel and the joined initrds and gives them to the kernel.
func (x *kexecMethod) loadFiles(job Job, parts []part, cmdline string) error {
	path, err := job.path(job.System.Launch.Kexec.Kernel)
	if err != nil {
		return err
	}
	kernel, err := os.Open(path)
	if err != nil {
		return err
	}
	defer kernel.Close()
	if len(parts) == 0 {
		return x.load(kernel, nil, cmdline)
	}
	path, err = join(parts)
	if err != nil {
		return err
	}
	initrd, err := os.Open(path)
	if err != nil {
		return err
	}
	defer initrd.Close()
	return x.load(kernel, initrd, cmdline)
}

// whyNoKernel adds to what kexec_file_load says of a file what its header says.
func whyNoKernel(path string, refused error) error {
	f, err := os.Open(path)
	if err != nil {
		return refused
	}
	defer f.Close()
	head := make([]byte, bzimage.HeaderSize)
	n, _ := io.ReadFull(f, head) // of a short file what there is
	header, err := bzimage.Parse(head[:n])
	if err == nil {
		err = header.Kexec()
	}
	if err == nil {
		return refused
	}
	return fmt.Errorf("%w; %w", err, refused)
}

// Leaves implements [Method].
func (*kexecMethod) Leaves() bool { return true }

// Start implements [Method]. It takes the network down first, so that no NIC goes on writing into memory that is the
// new kernel's, even with a driver that forgets to stop it.
func (x *kexecMethod) Start(_ context.Context, job Job) (Guest, error) {
	if !x.loaded() {
		return nil, fmt.Errorf("start %s: no kernel is loaded; load it first", job.System.Name)
	}
	unix.Sync()
	if err := x.quiet(); err != nil {
		job.logf("launch: %v; going on", err)
	}
	if err := x.reboot(); err != nil {
		return nil, fmt.Errorf("start %s: the kernel did not hand over (%w); restart the machine", job.System.Name, err)
	}
	return nil, fmt.Errorf("start %s: the kernel did not hand over and gave no reason; restart the machine", job.System.Name)
}

// wantedKernel is what kexec takes on an architecture.
var wantedKernel = map[arch.Arch]string{
	arch.AMD64: "bzImage (vmlinuz) with relocation and 64-bit entry",
	arch.ARM64: "kernel for arm64 (vmlinuz, Image, also compressed by gzip or as EFI zboot)",
}

// explainKexec says what an error of kexec_file_load means and what to do. Where each comes from: kernel/kexec_file.c,
// arch/x86/kernel/kexec-bzimage64.c, security/lockdown.
func explainKexec(sys catalog.System, cmdline string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start %s: a file of it is gone: %w; download it again", sys.Name, err)
	}
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("start %s: no room to join its initrds: %w; choose a smaller system", sys.Name, err)
	}
	because := func(why string) error {
		return fmt.Errorf("start %s: kexec refuses %s: %s (%w)", sys.Name, sys.Launch.Kexec.Kernel, why, err)
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(unix.EPERM) && is(kexec.ErrSegments):
		return because("this machine's kernel is locked down, as with Secure Boot, and can't verify other kernels, so it starts none; choose a system " +
			"that runs under phase 1's own kernel, or switch Secure Boot off in the firmware")
	case is(unix.EBUSY) && runtime.GOARCH == string(arch.ARM64):
		return because("this machine's firmware can't switch processors off (spin-table in place of PSCI, as a Raspberry Pi 4's own), and without that there " +
			"is no way to another kernel; choose a system that runs under phase 1's own kernel, or start the machine by UEFI firmware")
	case secureboot.Means(err) != "":
		return because(secureboot.Means(err) + "; " + secureboot.HowToSign)
	case is(unix.ENOEXEC):
		return because("it is not a bootable kernel for this machine; give a " + wantedKernel[arch.Arch(runtime.GOARCH)] + " as kernel: in its config.yaml")
	case is(unix.ENOMEM):
		return because("there is not enough memory for the kernel's copies; choose a smaller system or restart the node")
	case is(unix.EADDRNOTAVAIL):
		return because("no free stretch of memory is long enough for its initrd; choose a smaller system")
	case is(unix.EFBIG):
		return because("its initrds are larger than the 4 GiB that kexec takes; choose a smaller system")
	case is(unix.EBUSY):
		return because("another kexec is being loaded; wait and try again")
	case is(unix.ENOSYS):
		return because("phase 1's kernel was built without kexec_file_load; build the image with a kernel that has " +
			"CONFIG_KEXEC_FILE")
	case is(unix.EINVAL) && len(cmdline) > catalog.MaxCmdline:
		return because(fmt.Sprintf("its command line has %d bytes and kernels take %d; shorten cmdline: in its "+
			"config.yaml", len(cmdline), catalog.MaxCmdline))
	case is(unix.EINVAL):
		return because("the kernel or its command line is not acceptable; see the kernel's log (dmesg)")
	}
	return because("see the kernel's log (dmesg)")
}
