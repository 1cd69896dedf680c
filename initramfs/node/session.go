package node

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// session is what the node has with its seeder: where that is, the key by which it is believed, and what it told.
type session struct {
	key minisign.PublicKey
	// found is read by the goroutines that report as well; nil before a seeder was found.
	found atomic.Pointer[client.Client]
	// typed is the seeder's address, by a person.
	typed string
	// away is whether the seeder was silent when it was last asked something.
	away atomic.Bool
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

func newSession(publicKey, seenFile string) (*session, error) {
	s := &session{seen: seen.New(seenFile)}
	if err := s.key.UnmarshalText([]byte(publicKey)); err != nil {
		return nil, fmt.Errorf("the public key in this image is not one (%w); build the image again with mkimage", err)
	}
	return s, nil
}

// at returns what speaks to a seeder.
func (s *session) at(base string) *client.Client { return &client.Client{Base: base, Key: s.key} }

// client speaks to the seeder; nil before one was found.
func (s *session) client() *client.Client { return s.found.Load() }

// fetch reads a seeder's catalog, and refuses one that is older than what this node has seen. It doesn't count as seen before it is taken.
func (s *session) fetch(ctx context.Context, base string) (client.Signed, error) {
	signed, err := s.at(base).Catalog(ctx)
	if err == nil {
		err = s.seen.Check(signed.Counter, base)
	}
	return signed, err
}

// seeder is the address the seeder was found at.
func (s *session) seeder() (netip.Addr, error) {
	base := s.client().Base
	u, err := url.Parse(base)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL: %w", err)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL %s: want an address, not a name: %w", base, err)
	}
	return a, nil
}

// fromSeeder puts the URL below the address at which this node found the seeder before those the catalog lists: of a
// seeder's several addresses, that one is known to answer.
func (s *session) fromSeeder(listed []string, path string) []string {
	urls := []string{s.client().Base + path}
	for _, u := range listed {
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// poster sends to the seeder that the node knows now, which may be another after a failure: reports (report.Poster) and the log
// (ship.Poster).
type poster struct{ session *session }

// Report implements report.Poster.
func (p poster) Report(ctx context.Context, r wire.Report) error {
	_, err := p.Exchange(ctx, r)
	return err
}

// Exchange implements report.Exchanger.
func (p poster) Exchange(ctx context.Context, r wire.Report) (answer wire.Answer, err error) {
	answer, err = p.session.client().Exchange(ctx, r)
	if ctx.Err() != context.Canceled {
		p.session.away.Store(unanswered(err))
	}
	return answer, err
}

// Log implements ship.Poster.
func (p poster) Log(ctx context.Context, l wire.Log) error { return p.session.client().Log(ctx, l) }
