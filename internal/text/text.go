// Package text words numbers for the people who read what seeder and mkimage print and show.
package text

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// Count is a number of things: "1 system", "2 systems".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Size is a number of bytes with a unit of powers of 1024, as memory and files have: "8.0 MiB", "45 MiB". What is negative is 0.
func Size(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }
