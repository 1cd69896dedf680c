package launch

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

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
}

// MemoryError says that memory can't hold a system. All numbers are bytes.
type MemoryError struct {
	System string
	// Download is 0 where that is done already.
	Download, Reserve int64
	Need              Memory
	// Free is what there is.
	Free int64
}

// Sum is what would be needed.
func (e *MemoryError) Sum() int64 { return e.Download + e.Need.Files + e.Need.Copies + e.Reserve }

// Error spells the sum out.
func (e *MemoryError) Error() string {
	var terms []string
	if e.Download > 0 {
		terms = append(terms, "download "+mib(e.Download))
	}
	if e.Need.Files > 0 {
		terms = append(terms, cmp.Or(e.Need.FilesWhat, "initrds joined")+" "+mib(e.Need.Files))
	}
	if e.Need.Copies > 0 {
		terms = append(terms, e.Need.What+" "+mib(e.Need.Copies))
	}
	terms = append(terms, mib(e.Reserve)+" that stay free")
	return fmt.Sprintf("%s does not fit into memory: %s = %s, this machine has %s free; "+
		"choose a smaller system or a machine with more memory", e.System, strings.Join(terms, " + "), mib(e.Sum()), mib(e.Free))
}

// mib rounds up, so that a sum never looks smaller than it is.
func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// Preflight says before the download whether available bytes can hold a system and its start; the error is a
// *MemoryError.
func Preflight(sys catalog.System, files catalog.FileList, m Method, available int64) error {
	e := &MemoryError{System: sys.Name, Download: sys.ToFetch(), Reserve: Reserve, Need: m.Need(sys, files), Free: available}
	if e.Sum() > available {
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
	return parseAvailable(string(b))
}

func parseAvailable(meminfo string) (int64, error) {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemAvailable:" && f[2] == "kB" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("ask how much memory is free: /proc/meminfo: %w", err)
			}
			return kib * 1024, nil
		}
	}
	return 0, fmt.Errorf("ask how much memory is free: /proc/meminfo has no MemAvailable")
}
