// Command vminit is /init of the virtual machine in which TestKexec looks at a real kexec. Started first, it makes a
// system whose initrd is large, loads it through package launch while it watches how memory shrinks, and starts it.
// Started again by the new kernel it tells what it sees there.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

func main() {
	for dir, fs := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		if err := unix.Mount(fs, dir, fs, 0, ""); err != nil {
			fail("mount %s: %v", dir, err)
		}
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		fail("%v", err)
	}
	if strings.Contains(string(cmdline), "stage=2") {
		marker, err := os.ReadFile("/marker")
		fmt.Printf("VM second: cmdline %q, marker %q %v\n", strings.TrimSpace(string(cmdline)), marker, err)
		fmt.Printf("VM firmware: %s\n", firmware())
		off()
	}
	first()
}

// firmware is what the kernel knows of it: whether EFI's tables are there, ACPI's, and a device tree.
func firmware() string {
	found := ""
	for _, path := range []string{"/sys/firmware/efi/systab", "/sys/firmware/acpi/tables/APIC", "/sys/firmware/fdt"} {
		if _, err := os.Stat(path); err == nil {
			found += " " + path
		}
	}
	return found
}

// first is the machine before kexec.
func first() {
	job, err := system()
	if err != nil {
		fail("%v", err)
	}
	fmt.Printf("VM firmware: %s\n", firmware())
	method, err := launch.For(job.System, nil)
	if err != nil {
		fail("%v", err)
	}
	free, err := launch.RoomAt("/")
	if err != nil {
		fail("%v", err)
	}
	if err := launch.Preflight(job.System, job.Files, method, free); err != nil {
		fmt.Printf("VM preflight: %v\n", err)
	}
	// What can't be a kernel is refused in words.
	bad := job
	bad.System.Launch.Kexec = &catalog.Kexec{Kernel: "marker.cpio"}
	fmt.Printf("VM refused: %v\n", method.Load(context.Background(), bad))

	limits(method, job)

	watch := watchMemory()
	start := time.Now()
	if err := method.Load(context.Background(), job); err != nil {
		fail("load: %v", err)
	}
	took := time.Since(start)
	peak, after := watch.stop()
	need := method.Need(job.System, job.Files)
	fmt.Printf("VM load: need %d peak %d after %d took %s\n", need.Copies+need.Files, peak, after, took)
	_, err = method.Start(context.Background(), job)
	fmt.Printf("VM start: %v\n", err)
	off()
}

// limits shows what the kernel takes at most: of a command line, and of an initrd, which is sparse and never read where it is too
// large.
func limits(method launch.Method, job launch.Job) {
	for _, n := range []int{catalog.MaxCmdline, catalog.MaxCmdline + 1} {
		k := *job.System.Launch.Kexec
		k.Cmdline, k.Initrd = strings.Repeat("c", n), []string{"marker.cpio"}
		long := job
		long.System.Launch.Kexec = &k
		fmt.Printf("VM command line of %d: %v\n", n, method.Load(context.Background(), long))
	}
	for _, n := range []int64{catalog.MaxInitrd, catalog.MaxInitrd + 4096} { // for the first there is no memory here
		path := job.Dir + "/huge.img"
		f, err := os.Create(path)
		if err != nil || f.Truncate(n) != nil || f.Close() != nil {
			fail("huge.img: %v", err)
		}
		huge := job
		huge.System.Launch.Kexec = &catalog.Kexec{Kernel: "kernel", Initrd: []string{"huge.img"}}
		huge.Files = catalog.FileList{{Path: "huge.img", Size: n}}
		fmt.Printf("VM initrd of %d: %v\n", n, method.Load(context.Background(), huge))
		_ = os.Remove(path)
	}
}

// system makes the files of a system: this program behind a large initrd of zeros, whose length is odd, and a third
// archive behind both.
func system() (launch.Job, error) {
	const dir = "/system"
	large, err := strconv.ParseInt(os.Getenv("LARGE"), 10, 64)
	if err != nil {
		return launch.Job{}, fmt.Errorf("LARGE=BYTES on the kernel command line: %w", err)
	}
	f, err := os.Create(dir + "/large.img")
	if err != nil {
		return launch.Job{}, err
	}
	block := make([]byte, 1<<20)
	for left := large; left > 0; left -= int64(len(block)) {
		if _, err := f.Write(block[:min(left, int64(len(block)))]); err != nil {
			return launch.Job{}, err
		}
	}
	if err := f.Close(); err != nil {
		return launch.Job{}, err
	}
	sys := catalog.System{Name: "vm", Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{
		Kernel: "kernel", Initrd: []string{"large.img", "root.cpio", "marker.cpio"},
		Cmdline: "console=" + os.Getenv("CONSOLE") + " quiet stage=2 system={{.System}}",
	}}}
	var files catalog.FileList
	for _, name := range []string{"kernel", "large.img", "root.cpio", "marker.cpio"} {
		info, err := os.Stat(dir + "/" + name)
		if err != nil {
			return launch.Job{}, err
		}
		files = append(files, catalog.File{Path: name, Size: info.Size()})
		sys.Size += info.Size()
	}
	logf := func(format string, args ...any) { fmt.Printf("VM log: "+format+"\n", args...) }
	return launch.Job{System: sys, Files: files, Dir: dir, Vars: map[string]string{"System": "vm"}, Log: logf}, nil
}

// memoryWatch samples how much memory is free.
type memoryWatch struct {
	before, least int64
	done          chan struct{}
	wg            sync.WaitGroup
}

func watchMemory() *memoryWatch {
	before := free()
	w := &memoryWatch{before: before, least: before, done: make(chan struct{})}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				w.least = min(w.least, free())
			}
		}
	}()
	return w
}

// stop returns the bytes that were taken at the peak, and that still are.
func (w *memoryWatch) stop() (peak, after int64) {
	close(w.done)
	w.wg.Wait()
	return w.before - w.least, w.before - free()
}

// free is what sysinfo(2) says, which does not lag behind as /proc/meminfo's per-CPU counters may.
func free() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		fail("sysinfo: %v", err)
	}
	return int64(s.Freeram) * int64(s.Unit)
}

func fail(format string, args ...any) {
	fmt.Printf("VM failed: "+format+"\n", args...)
	off()
}

func off() {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Println("VM failed: reboot:", err)
	}
	select {}
}
