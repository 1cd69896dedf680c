package rules

import "math/bits"

// Installed is about how much memory a machine has of which Linux says that it has so many bytes (MemTotal): the next size that memory is
// sold in. Firmware, a graphics unit and the kernel keep some for themselves: 7.6 GiB, or 7.1, are those of a machine with 8. The sizes are
// multiples of an eighth of the next power of two: …, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24 GiB, … Where SMBIOS says what is installed, that is better.
func Installed(memTotal int64) int64 {
	if memTotal <= 8 {
		return memTotal
	}
	step := int64(1) << (bits.Len64(uint64(memTotal-1)) - 3)
	return (memTotal + step - 1) / step * step
}
