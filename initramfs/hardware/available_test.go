package hardware

import "testing"

func TestAvailable(t *testing.T) {
	n, err := Available("MemTotal:  1000 kB\nMemAvailable:    512 kB\n")
	if err != nil || n != 512*1024 {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "MemAvailable: x kB\n", "MemAvailable: 1 MB\n"} {
		if _, err := Available(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
