package node

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// listTime is about how often the seeder's list of the others is read.
const listTime = 30 * time.Second

// session is what the node has with its site's seeders: which it knows, with the key by which they are believed, and what they told.
type session struct {
	*seeders.Seeders
	// typed is the seeder's address, by a person.
	typed string
	// reporting is whether reports are on their way to it.
	reporting bool
	// seen is the highest counter of a catalog that was taken.
	seen *seen.Memory
	// catalog is the one in use, as it holds for this machine: with what the site's rules say of it, and what the kernel command line
	// overrides; signed is as it was read.
	catalog *catalog.Catalog
	signed  client.Signed
	// decision is what the site's rules say of this machine, with that catalog.
	decision rules.Decision
}

func newSession(cfg Config, seenFile string) (*session, error) {
	s := &session{seen: seen.New(seenFile)}
	s.Seeders = seeders.New(seeders.Config{Newest: s.seen.Check, Refresh: listTime, Log: cfg.Log})
	if err := s.Key.UnmarshalText([]byte(cfg.Image.PublicKey)); err != nil {
		return nil, fmt.Errorf("the public key in this image is not one (%w); build the image again with mkimage", err)
	}
	return s, nil
}

// fetch reads a seeder's catalog, and refuses one that is older than what this node has seen. It doesn't count as seen before it is taken.
func (s *session) fetch(ctx context.Context, from *client.Client) (client.Signed, error) {
	signed, err := from.Catalog(ctx)
	if err == nil {
		err = s.Newest(signed.Counter, from.Base)
	}
	return signed, err
}

// near reports whether an address is in the node's own subnet.
func (n *Node) near(a netip.Addr) bool { return n.link.lease().Addr.Contains(a) }

// moved has another seeder know this node, now that it goes on with that one.
func (n *Node) moved() {
	if n.ByHand {
		return
	}
	n.Report.SetNow(func(*wire.Report) {})
	n.saveOrSay()
}
