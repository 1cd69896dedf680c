package swarm

import (
	"errors"
	"net/netip"
	"testing"
)

func TestSeederAddress(t *testing.T) {
	for _, c := range []struct {
		seeder Seeder
		want   string
	}{
		{Seeder{HTTP: "http://10.0.0.1:8080"}, "10.0.0.1"},
		{Seeder{HTTP: "http://10.0.0.1:8080", Torrent: netip.MustParseAddrPort("10.0.0.2:6881")}, "10.0.0.2"},
		{Seeder{Torrent: netip.MustParseAddrPort("10.0.0.2:0")}, "10.0.0.2"},
		{Seeder{HTTP: "http://seeder.example:8080"}, "invalid IP"},
		{Seeder{}, "invalid IP"},
	} {
		if got := c.seeder.addr().String(); got != c.want {
			t.Errorf("%+v is at %s, want %s", c.seeder, got, c.want)
		}
	}
}

// What comes over a connection is counted by what its peer is known as at the time.
func TestSetSeedersMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 4<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 2 << 20})
	node := newEngine(t, "127.0.0.61", Config{Seeders: []Seeder{{Torrent: netip.MustParseAddrPort("127.0.0.99:0")}}})
	changed := errors.New("nothing came before the end")
	err := node.Fetch(t.Context(), s.source(t.TempDir(), seeder.addrPort()), func(st Stats) {
		if changed != nil && st.FromNodes > 0 && !st.Complete {
			changed = nil
			node.SetSeeders(knownSeeders())
		}
	})
	if err := errors.Join(err, changed); err != nil {
		t.Fatal(err)
	}
	st, _ := node.Stats(s.system.InfoHash)
	if st.FromSeeder == 0 || st.FromNodes == 0 || st.FromSeeder+st.FromNodes != int64(4<<20) {
		t.Errorf("%d bytes are counted as the seeder's and %d as nodes'", st.FromSeeder, st.FromNodes)
	}
}
