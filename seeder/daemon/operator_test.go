package daemon

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
)

// A machine of the room can't use up what another one is to start once, by reporting in its place.
func TestImpostor(t *testing.T) {
	const mac = "52:54:00:00:00:01"
	real, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	o := &operator{
		next: next.Open(t.TempDir(), logger, time.Now), orders: orders.New(orders.Config{Log: logger, Now: time.Now}), log: logger,
		impostor: func(m string, from netip.Addr) bool { return m == mac && from == other },
	}
	said, err := o.next.Set([]next.Target{{MAC: mac}}, "local", true)
	must(t, err)
	rep := report.Report{MAC: mac, Next: said[0].ID}
	if o.order(rep, other); len(o.next.List()) != 1 || !strings.Contains(log.String(), "another machine reports") {
		t.Errorf("another machine used it up: %+v, %s", o.next.List(), log.String())
	}
	if o.order(rep, real); len(o.next.List()) != 0 {
		t.Errorf("the machine itself did not: %+v", o.next.List())
	}
	s := &site.Site{Machines: []site.Machine{{Machine: catalog.Machine{MAC: mac}}}}
	if !lists(s, mac) || lists(s, "52:54:00:00:00:02") {
		t.Error("which machines a site lists")
	}
}
