package site

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// A site may list as many machines as a catalog takes. The test logs how long that is read.
func TestManyMachines(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("version: 1\ndhcp: {mode: server, range: {first: 10.1.200.0, last: 10.1.201.0}}\ngroups:\n")
	for i := range 40 {
		fmt.Fprintf(&b, "  - {name: room-%02d, match: {subnet: 10.2.%d.0/24}, hostname: 'pc-{{.Last}}'}\n", i, i)
	}
	b.WriteString("machines:\n")
	for i := range catalog.MaxMachines {
		fmt.Fprintf(&b, "  - {mac: '52:54:00:%02x:%02x:%02x', name: pc-%04d, group: room-%02d, hostname: host-%d, address: 10.1.%d.%d, notes: by the window}\n", i>>16, i>>8&255, i&255, i, i%40, i, i>>8, i&255)
	}
	for _, machines := range []int{0, 5000, catalog.MaxMachines} {
		lines := bytes.SplitAfter(b.Bytes(), []byte("\n"))
		text := bytes.Join(lines[:4+40+machines], nil)
		dir := t.TempDir()
		if err := Init(filepath.Join(dir, "site"), "large"); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "site", ConfigFile), text)
		start := time.Now()
		s, problems := Load(filepath.Join(dir, "site"))
		if len(problems) > 0 {
			t.Fatal(problems[0])
		}
		t.Logf("%d machines: %d bytes, read in %v", machines, len(text), time.Since(start).Round(time.Millisecond))
		if len(s.Machines) != machines || len(s.DHCP.Reservations) != machines {
			t.Errorf("%d machines, %d reservations", len(s.Machines), len(s.DHCP.Reservations))
		}
	}
}
