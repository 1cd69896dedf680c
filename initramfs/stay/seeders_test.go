package stay

import (
	"net/http"
	"net/netip"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
)

// publish has a seeder serve a catalog with a counter.
func (s *seeder) publish(key minisign.PrivateKey, counter uint64) error {
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "room", Counter: counter}).Encode()
	for path, b := range map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(key, document)} {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
	}
	return err
}

// The seeder dies while the system runs: the process goes on with the next that serves what is not older than what the machine was started by, and
// tells that one's tracker and fleet.
func TestGoesOnWithAnotherSeeder(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	old, other := newSeeder(t), newSeeder(t)
	if err := old.publish(secret, 6); err != nil {
		t.Fatal(err)
	}
	if err := other.publish(secret, 7); err != nil {
		t.Fatal(err)
	}
	g := newGivenWith(t, func(g *given) {
		g.plan.PublicKey, g.plan.Counter = public.String(), 7
		for _, s := range []*seeder{g.seeder, old, other} {
			g.plan.Seeders = append(g.plan.Seeders, catalog.SeederAddress{HTTP: s.URL, Torrent: netip.MustParseAddrPort("127.0.0.1:6881")})
		}
	})
	ip(t, "address add 10.9.0.2/24 dev eth0")
	ip(t, "link set eth0 up")
	ip(t, "link set sw0 up")
	g.givesFrom("10.9.0.2")
	await(t, "the tracker hears of it", func() bool { return g.seeder.heard("started 10.9.0.2 left=0") })
	given := func(s *seeder) func() bool {
		return func() bool {
			return s.reported(func(r report.Report) bool { return r.Boot == g.plan.Report.Boot && r.Step == report.Give })
		}
	}
	await(t, "a report", given(g.seeder))
	g.fetch("127.0.0.21") // so that there is something to report
	g.seeder.Close()
	await(t, "a report to the other one", given(other))
	await(t, "the other one's tracker hears of it", func() bool { return other.heard("started 10.9.0.2 left=0") })
	await(t, "a status with it", func() bool { return readStatus(g.run).Seeder == other.URL })
	if given(old)() {
		t.Error("one with an old catalog has a report")
	}
}
