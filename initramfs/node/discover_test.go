package node

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// seeders are servers of an empty catalog, signed by the key that the node then trusts; the last one's is by another.
func (p *person) seeders(n *Node, count int) (urls []string) {
	p.t.Helper()
	return p.seedersOf(n, make([]uint64, count)...)
}

// seedersOf are seeders whose catalogs have these counters; that by another key has none.
func (p *person) seedersOf(n *Node, counters ...uint64) (urls []string) {
	p.t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	_, foreign, err := minisign.GenerateKey(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	n.session.Key = public
	for i, counter := range append(counters, 0) {
		document, err := (&catalog.Catalog{Version: catalog.Version, Site: "lab", Counter: counter}).Encode()
		if err != nil {
			p.t.Fatal(err)
		}
		key := private
		if i == len(counters) {
			key = foreign
		}
		files := map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(key, document)}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(files[r.URL.Path]) }))
		p.t.Cleanup(server.Close)
		urls = append(urls, server.URL)
	}
	return urls
}

// tell makes seeders answer by DHCP.
func (n *Node) tell(urls ...string) {
	n.ByHand = true // nothing is reported
	n.askDHCP = func(context.Context, network.Lease) ([]string, error) { return urls, nil }
}

// Of two seeders of this site a person chooses one; that of another site is none. Later the node takes the same.
func TestSeveralSeeders(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seeders(n, 2)
	n.tell(urls...)
	found := make(chan error, 1)
	go func() { found <- n.Discover(t.Context()) }()
	p.see("Several seeders answer")
	p.see(urls[1])
	p.see("lab, 0 systems")
	p.send("j\r")
	if err := <-found; err != nil || n.session.Client().Base != urls[1] {
		t.Fatalf("found %v, %v, want %s", n.session.Client(), err, urls[1])
	}
	if strings.Contains(p.all(), urls[2]) {
		t.Errorf("a seeder of another site is offered:\n%s", p.all())
	}
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != urls[1] {
		t.Errorf("once more: %v, %v", n.session.Client(), err)
	}
}

// With only one there is nothing to ask.
func TestOneSeeder(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seeders(n, 1)
	n.tell(urls...)
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != urls[0] {
		t.Fatalf("%v, %v", n.session.Client(), err)
	}
	if strings.Contains(p.all(), "Several") {
		t.Errorf("a question with one answer:\n%s", p.all())
	}
}

// A seeder of another site is refused, in words.
func TestForeignSeederByDHCP(t *testing.T) {
	n, p := newNode(t, "")
	n.tell(p.seeders(n, 0)...)
	if err := n.Discover(t.Context()); !errors.Is(err, catalog.ErrSignature) {
		t.Errorf("%v, want %v", err, catalog.ErrSignature)
	}
}

// What people say goes before what DHCP says.
func TestNamedSeederGoesFirst(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seeders(n, 2)
	n.tell(urls[0])
	n.Cmdline.Seeder, n.Cmdline.ConfSeeder = "http://127.0.0.1:1", urls[1]
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != urls[1] {
		t.Errorf("%v, %v, want %s", n.session.Client(), err, urls[1])
	}
}

// With no seeder in the network the screen shows what was tried, and the line of boottorrent.conf that was not followed; then
// a person types the address.
func TestTypedSeeder(t *testing.T) {
	n, p := newNode(t, "")
	urls := p.seeders(n, 1)
	n.tell()
	n.Cmdline.ConfSeeder, n.Cmdline.Medium = "http://127.0.0.1:1", 1
	n.Warnings = []string{`boottorrent.conf, line 4: "vlan: 5000": "5000" is no VLAN`}
	err := n.Discover(t.Context())
	if err == nil {
		t.Fatal("a seeder was found")
	}
	did := make(chan decision.Action, 1)
	go func() { did <- n.Problem(t.Context(), boot.Trouble{Step: wire.Discover, Err: err, Attempt: 1}) }()
	p.see("http://127.0.0.1:1 (seeder: in boottorrent.conf)")
	p.see("boottorrent.conf, line 4")
	p.see("to be edited on any PC")
	p.send("a")
	p.see("Where is the seeder?")
	p.send("no address\r")
	p.see("is no address; write")
	p.forget()
	p.send("\x1b") // back to the problem
	p.see("Trying again in")
	p.forget()
	p.send("a")
	p.see("Where is the seeder?")
	p.send(strings.TrimPrefix(urls[0], "http://") + "\r")
	if a := <-did; a != decision.Retry {
		t.Fatalf("action %v, want %v", a, decision.Retry)
	}
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != urls[0] {
		t.Errorf("%v, %v, want %s", n.session.Client(), err, urls[0])
	}
}
