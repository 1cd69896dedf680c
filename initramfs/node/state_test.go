package node

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/network"
)

func TestStateIsTakenUp(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	lease := network.Lease{
		Interface: "eth0", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}, Addr: netip.MustParsePrefix("10.0.0.7/20"),
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, Hostname: "node7", Duration: time.Hour,
	}
	n.link.setLease(lease)
	if err := n.save(); err != nil {
		t.Fatal(err)
	}
	other, _ := newNode(t, "")
	other.State = n.State
	if err := other.Resume(); err != nil {
		t.Fatal(err)
	}
	if got := other.link.lease(); !reflect.DeepEqual(got, lease) {
		t.Errorf("lease %+v, want %+v", got, lease)
	}
	if got := other.session.Client().Base; got != "http://10.0.0.1:8080" {
		t.Errorf("seeder %s", got)
	}
	r := other.Report.Snapshot()
	if r.MAC != "52:54:00:00:00:07" || r.IP != "10.0.0.7" || r.Name != "node7" || r.UUID == "" || r.Arch != "amd64" {
		t.Errorf("report %+v", r)
	}
}

func TestResumeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"nothing":  {"", "run netup first"},
		"nonsense": {"{", "run netup again"},
		"empty":    {"{}", "it lacks the seeder"},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := newNode(t, "")
			if c.content != "" {
				if err := os.MkdirAll(filepath.Dir(n.State), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(n.State, []byte(c.content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := n.Resume(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Before a seeder is known there is nothing to write down.
func TestSaveWaitsForTheSeeder(t *testing.T) {
	n, _ := newNode(t, "")
	if err := n.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(n.State); err == nil {
		t.Error("a state without a seeder was written")
	}
}
