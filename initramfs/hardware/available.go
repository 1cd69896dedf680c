package hardware

import (
	"fmt"
	"strconv"
	"strings"
)

// Available returns the bytes of memory that programs can still have: MemAvailable of /proc/meminfo (proc(5)), whose text it is given.
func Available(meminfo string) (int64, error) {
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
