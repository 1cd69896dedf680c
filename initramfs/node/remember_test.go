package node

import (
	"errors"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// read reads the catalog of the only seeder that the node knows, and returns whether it was refused as too old.
func (n *Node) read(t *testing.T, base string) (refused bool) {
	t.Helper()
	n.session.Seeders = seeders.New(n.session.Config)
	n.session.Use(base)
	_, err := n.Catalog(t.Context())
	var old *seen.OldError
	if refused = errors.As(err, &old); refused && old.Seeder != base || !refused && err != nil {
		t.Errorf("%s: %v", base, err)
	}
	return refused
}

// Whoever offers it, an older catalog than the newest that was taken is refused, and goes on being refused by the program when init has started it
// again, and by one that is run by hand.
func TestOldCatalogIsRefused(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seedersOf(n, 0, 100, 99, 101)
	const none, first, old, newer = 0, 1, 2, 3
	for _, step := range []struct {
		seeder  int
		refused bool
	}{{none, false}, {first, false}, {first, false}, {old, true}, {none, true}, {newer, false}, {first, true}} {
		if refused := n.read(t, urls[step.seeder]); refused != step.refused {
			t.Errorf("%d was refused: %v", step.seeder, refused)
		}
	}
	if n.session.catalog.Counter != 101 || n.session.signed.Counter != 101 {
		t.Errorf("in use is the catalog %d", n.session.catalog.Counter)
	}
	again, err := New(n.Config)
	if err != nil {
		t.Fatal(err)
	}
	again.session.Key = n.session.Key
	if !again.read(t, urls[first]) || again.read(t, urls[newer]) {
		t.Error("the program that was started again knows nothing")
	}
}

// A kernel command line that comes from the kernel before says what that has seen.
func TestSeenBeforeKexec(t *testing.T) {
	before, p := newNode(t, "")
	before.Cmdline.Seen = 100
	n, err := New(before.Config)
	if err != nil {
		t.Fatal(err)
	}
	urls := p.seedersOf(n, 99, 100)
	if !n.read(t, urls[0]) || n.read(t, urls[1]) {
		t.Error("what was seen under the kernel before is forgotten")
	}
}

// Of the seeders that DHCP tells of, an old one is none; where there is no other, the node says why. What was only looked at does not count as
// seen: the one that a person takes may be older than one beside it.
func TestOldSeederByDHCP(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seedersOf(n, 99, 200)
	n.raise(100)
	n.tell(urls...)
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != urls[1] {
		t.Fatalf("found %+v, %v", n.session.Client(), err)
	}
	if n.seen() != 100 {
		t.Errorf("a catalog that was not taken counts as seen: %d", n.seen())
	}
	n.session.Seeders = seeders.New(n.session.Config)
	n.tell(urls[0])
	var old *seen.OldError
	if err := n.Discover(t.Context()); !errors.As(err, &old) || old.Offered != 99 || old.Seen != 100 {
		t.Errorf("only the old one answers: %v", err)
	}
}

// With an old catalog the node does not go on as it does without a seeder.
func TestOldCatalogIsNoSilence(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seedersOf(n, 99)
	n.raise(100)
	sys := kexec("tiny")
	n.session.catalog = &catalog.Catalog{Counter: 100, Systems: []catalog.System{sys}}
	n.download.ahead.keep(sys, metadata{})
	n.tell()
	if !n.read(t, urls[0]) {
		t.Error("the node goes on, as if nobody had answered")
	}
}
