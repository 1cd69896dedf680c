package launch

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Reserve is what must stay free beside a system: this program, its buffers, and what the kernel itself needs to go on.
const Reserve = 96 << 20

// Memory is what starting a system takes beside its files, in bytes.
type Memory struct {
	// Files is what is added to the files in the system's folder, and FilesWhat says what; empty: initrds joined.
	Files     int64
	FilesWhat string
	// Copies is what the kernel allocates at the peak, and What says for what.
	Copies int64
	What   string
	// Parts is what else it takes.
	Parts []Part
}

// Part is one term of a sum of memory.
type Part struct {
	What  string
	Bytes int64
}

// MemoryError says that memory can't hold a system. All numbers are bytes.
type MemoryError struct {
	System string
	// Download is 0 where that is done already, and so is Storage, what a tmpfs takes for Inodes files and folders beyond their sizes.
	Download, Storage, Reserve int64
	Inodes                     int64
	// FreeInodes is how many files and folders there is room for; negative: any number.
	FreeInodes int64
	Need       Memory
	// Free is what there is.
	Free int64
}

// Sum is what would be needed.
func (e *MemoryError) Sum() int64 {
	sum := e.Download + e.Storage + e.Need.Files + e.Need.Copies + e.Reserve
	for _, p := range e.Need.Parts {
		sum += p.Bytes
	}
	return sum
}

// Error spells the sum out.
func (e *MemoryError) Error() string {
	if e.lacksInodes() {
		return fmt.Sprintf("%s does not fit into memory: it has %d files and folders, and the file system for systems takes %d on this machine; "+
			"choose a system with fewer files or a machine with more memory, or have its files put into an archive or a disk image",
			e.System, e.Inodes, e.FreeInodes)
	}
	var terms []string
	if e.Download > 0 {
		terms = append(terms, "download "+mib(e.Download))
	}
	if e.Storage > 0 {
		terms = append(terms, fmt.Sprintf("storage of its %d files and folders %s", e.Inodes, mib(e.Storage)))
	}
	if e.Need.Files > 0 {
		terms = append(terms, cmp.Or(e.Need.FilesWhat, "initrds joined")+" "+mib(e.Need.Files))
	}
	if e.Need.Copies > 0 {
		terms = append(terms, e.Need.What+" "+mib(e.Need.Copies))
	}
	for _, p := range e.Need.Parts {
		terms = append(terms, p.What+" "+mib(p.Bytes))
	}
	terms = append(terms, mib(e.Reserve)+" that stay free")
	return fmt.Sprintf("%s does not fit into memory: %s = %s, this machine has %s free; "+
		"choose a smaller system or a machine with more memory", e.System, strings.Join(terms, " + "), mib(e.Sum()), mib(e.Free))
}

// mib rounds up, so that a sum never looks smaller than it is.
func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

func (e *MemoryError) lacksInodes() bool { return e.FreeInodes >= 0 && e.Inodes > e.FreeInodes }

// Preflight says before the download whether there is room for a system and its start; the error is a *MemoryError.
func Preflight(sys catalog.System, files catalog.FileList, m Method, room Room) error {
	e := &MemoryError{System: sys.Name, Download: sys.ToFetch(), Reserve: Reserve, Need: m.Need(sys, files), Free: room.Memory, FreeInodes: room.Inodes}
	e.Inodes, e.Storage = storage(files)
	if e.Sum() > room.Memory || e.lacksInodes() {
		return e
	}
	return nil
}

// Available returns the bytes of memory that programs can still have: MemAvailable of /proc/meminfo (proc(5)). Files
// in a tmpfs or in the initramfs are not among them.
func Available() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("ask how much memory is free: %w", err)
	}
	return hardware.Available(string(b))
}
