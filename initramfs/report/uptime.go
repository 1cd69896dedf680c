package report

import "golang.org/x/sys/unix"

// Uptime returns the seconds since the kernel started, or 0 if it can't be told.
func Uptime() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return float64(t.Sec) + float64(t.Nsec)/1e9
}
