package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// From linux/kvm.h: KVM_GET_API_VERSION is _IO(0xAE, 0), and its answer has been 12 since Linux 2.6.22.
const (
	kvmGetAPIVersion = 0xAE00
	kvmAPIVersion    = 12
)

// kernelRelease is the running kernel's, the name of its folder of modules.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil { // which fails for a bad address only
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// loadRuntimeModules loads the kernel modules of an unpacked runtime for the running kernel, in the order given, and removes
// their files, which nobody needs any more. An error is a module that should have loaded; the others are loaded none the
// less.
func loadRuntimeModules(runtime, release string, load func(path string) error) error {
	dir := filepath.Join(runtime, qemuruntime.Modules, release)
	order, err := os.ReadFile(filepath.Join(dir, qemuruntime.Order))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the runtime has no modules for this node's kernel %s: if that is another system's, restart this machine and choose again; "+
			"if it is phase 1's, build the image again with mkimage, which puts them aside, and restart the seeder", release)
	}
	if err != nil {
		return fmt.Errorf("read which modules the runtime has: %w", err)
	}
	var errs []error
	for _, name := range strings.Fields(string(order)) {
		if !filepath.IsLocal(name) {
			errs = append(errs, fmt.Errorf("the runtime names a module %q outside of its folder", name))
			continue
		}
		if err := load(filepath.Join(dir, name)); err != nil && !normalForModule(err) {
			errs = append(errs, fmt.Errorf("load module %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(runtime, qemuruntime.Modules)))...)
}

// normalForModule says that a module is loaded already or that its hardware isn't there: kvm_intel on a processor by AMD says
// EOPNOTSUPP, or EIO in older kernels.
func normalForModule(err error) bool {
	for _, normal := range []error{unix.EEXIST, unix.ENODEV, unix.EOPNOTSUPP, unix.EIO} {
		if errors.Is(err, normal) {
			return true
		}
	}
	return false
}

// loadModule gives one module file to the kernel, which unpacks it itself where it is compressed.
func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}

// probeKVM says why KVM can't be used; nil if it can.
func probeKVM(device, cpuinfo string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return whyNoKVM(cpuinfo, err)
	}
	defer f.Close()
	version, err := unix.IoctlRetInt(int(f.Fd()), kvmGetAPIVersion)
	switch {
	case err != nil:
		return whyNoKVM(cpuinfo, fmt.Errorf("ask %s for its version: %w", device, err))
	case version != kvmAPIVersion:
		return fmt.Errorf("the kernel's KVM speaks version %d of its interface, QEMU speaks %d", version, kvmAPIVersion)
	}
	return nil
}

// whyNoKVM guesses from the processor's flags. Linux takes vmx out of them where the firmware has locked it off
// (init_ia32_feat_ctl in arch/x86/kernel/cpu/feat_ctl.c); svm stays.
func whyNoKVM(cpuinfo string, err error) error {
	flags := processorFlags(cpuinfo)
	switch {
	case runtime.GOARCH == string(arch.ARM64):
		return fmt.Errorf("the processor has no virtualization, or the firmware starts the system without it (below exception level 2) (%w)", err)
	case flags["vmx"] || flags["svm"]:
		return fmt.Errorf("the processor can virtualize, but KVM does not work: look in the firmware's setup whether virtualization "+
			"(Intel VT-x, AMD SVM) is switched off (%w)", err)
	case flags["hypervisor"]:
		return fmt.Errorf("this node is a virtual machine itself, whose host does not pass virtualization on (%w)", err)
	}
	return fmt.Errorf("the processor has no virtualization, or it is switched off in the firmware's setup (Intel VT-x, AMD SVM) (%w)",
		err)
}

// mayVirtualize guesses before its modules are loaded whether there will be KVM. On arm64 it is part of the kernel.
func mayVirtualize(cpuinfo string) bool {
	if runtime.GOARCH == string(arch.ARM64) {
		_, err := os.Stat("/dev/kvm")
		return err == nil
	}
	flags := processorFlags(cpuinfo)
	return flags["vmx"] || flags["svm"]
}

// processorFlags are those of the first processor in /proc/cpuinfo.
func processorFlags(cpuinfo string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(cpuinfo) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) != "flags" {
			continue
		}
		for _, f := range strings.Fields(value) {
			found[f] = true
		}
		break
	}
	return found
}
