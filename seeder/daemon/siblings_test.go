package daemon

import (
	"context"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// listedBy are the base URLs of the seeders that one lists, in its order.
func listedBy(t *testing.T, base string) string {
	t.Helper()
	list, err := catalog.OpenSeeders(read(base, catalog.PathSeeders))
	must(t, err)
	var all []string
	for _, s := range list.Seeders {
		all = append(all, s.HTTP)
	}
	return strings.Join(all, " ")
}

// A seeder lists its mirrors, a mirror whom it follows and what that one lists, also while that is away.
func TestSeedersAreListed(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", ""))
	awaitSystem(t, second.base, "one", status.Published)
	third, _ := startMirror(t, newMirror(t, s, second.base, "127.0.0.1", ""))
	awaitSystem(t, third.base, "one", status.Published)
	for base, want := range map[string]string{
		first.base:  first.base + " " + second.base,
		second.base: second.base + " " + first.base + " " + third.base,
	} {
		await(t, base+" lists "+want, func() bool { return listedBy(t, base) == want })
	}
	await(t, "the mirror of a mirror lists all", func() bool {
		return listedBy(t, third.base) == third.base+" "+second.base+" "+first.base
	})
	list, err := catalog.OpenSeeders(read(first.base, catalog.PathSeeders))
	must(t, err)
	if at := list.Seeders[1].Torrent; at.Addr().String() != "127.0.0.1" || at.Port() == 0 {
		t.Errorf("the mirror's seed is at %s", at)
	}
	cancel()
	<-first.ended
	if got := listedBy(t, third.base); !strings.Contains(got, first.base) {
		t.Errorf("with the first seeder away %q is listed", got)
	}
}
