package report

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The processors are as busy as they were between two posts; of the network cards it is the one in use that counts.
func TestMeasure(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("sys/class/net/eth0/address", "52:54:00:00:00:01\n")
	put("sys/class/net/eth0/speed", "1000\n")
	put("sys/class/net/eth1/address", "52:54:00:00:00:02\n")
	put("sys/class/net/eth1/speed", "-1\n")
	r := New(time.Now)
	for i, c := range []struct {
		mac, stat string
		cpu, link int64
	}{
		{"52:54:00:00:00:01", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 …\n", 20, 1000},
		{"52:54:00:00:00:02", "cpu  150 0 120 710 110 5 5 0 0 0\n", 80, 0},
		{"52:54:00:00:00:03", "cpu  150 0 120 710 110 5 5 0 0 0\n", 0, 0},
		{"52:54:00:00:00:01", "nothing that anybody knows", 0, 1000},
	} {
		put("proc/stat", c.stat)
		r.current.MAC = c.mac
		r.measure(root)
		if got := r.Snapshot(); got.CPU != c.cpu || got.LinkMbps != c.link {
			t.Errorf("measurement %d: %d %% busy, %d Mbit/s, want %d and %d", i, got.CPU, got.LinkMbps, c.cpu, c.link)
		}
	}
	if len(r.changed) != 0 {
		t.Error("measuring alone is a reason to post")
	}
}
