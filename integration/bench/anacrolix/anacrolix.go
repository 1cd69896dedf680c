// Package anacrolix is a peer that is the library anacrolix/torrent and nothing else: what internal/swarm is compared
// with. In goes a torrent file, out come its files. What reaches beyond the room (DHT, port forwarding, WebTorrent) is
// off; everything else is the library's default.
package anacrolix

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// Peer is a client of the library.
type Peer struct{ client *torrent.Client }

// New returns a peer that listens at an address and keeps files below dir.
func New(listen netip.AddrPort, dir string) (*Peer, error) {
	cfg := torrent.NewDefaultClientConfig()
	cfg.SetListenAddr(listen.String())
	cfg.NoDHT, cfg.DisableUTP, cfg.DisableIPv6, cfg.DisableWebtorrent, cfg.NoDefaultPortForwarding = true, true, true, true, true
	cfg.Seed = true
	cfg.Slogger = slog.New(slog.DiscardHandler)
	// The library's default but for the database in which it would keep what is complete.
	cfg.DefaultStorage = storage.NewFileWithCompletion(dir, storage.NewMapPieceCompletion())
	client, err := torrent.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("start BitTorrent on %s: %w", listen, err)
	}
	return &Peer{client}, nil
}

// Close ends the peer.
func (p *Peer) Close() error { return errors.Join(p.client.Close()...) }

// Seed gives away what the torrent file describes, once it has been hashed.
func (p *Peer) Seed(ctx context.Context, torrentFile string) error {
	t, err := p.add(torrentFile)
	if err != nil {
		return err
	}
	if err := t.VerifyDataContext(ctx); err != nil {
		return err
	}
	if !t.Complete().Bool() {
		return fmt.Errorf("seed %s: its files are not all there", torrentFile)
	}
	return nil
}

// Fetch returns when every piece is here, and goes on giving them away.
func (p *Peer) Fetch(ctx context.Context, torrentFile string) error {
	t, err := p.add(torrentFile)
	if err != nil {
		return err
	}
	t.DownloadAll()
	select {
	case <-t.Complete().On():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Peer) add(torrentFile string) (*torrent.Torrent, error) {
	mi, err := metainfo.LoadFromFile(torrentFile)
	if err != nil {
		return nil, err
	}
	return p.client.AddTorrent(mi)
}
