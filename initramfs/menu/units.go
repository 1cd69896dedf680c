package menu

import (
	"fmt"
	"time"
)

// Size writes a number of bytes in MiB (2^20 bytes), from 1024 MiB on in GiB, with one decimal.
func Size(bytes int64) string {
	const mib, gib = 1 << 20, 1 << 30
	if bytes >= gib {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/gib)
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
}

// Rate writes bytes per second in MB/s (10^6 bytes, as network speeds are given), with one decimal.
func Rate(bytesPerSecond int64) string {
	return fmt.Sprintf("%.1f MB/s", float64(bytesPerSecond)/1e6)
}

// Clock writes a duration as m:ss or h:mm:ss, rounded up to whole seconds so that a countdown ends with 0:00.
func Clock(d time.Duration) string {
	s := seconds(d)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// seconds rounds up to whole seconds; negative durations are 0.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Second - 1) / time.Second)
}
