package node

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// startEngine starts BitTorrent with the addresses that the node and the seeder have now.
func (n *Node) startEngine() error {
	seeder, err := n.seeder()
	if err != nil {
		return err
	}
	own := n.lease().Addr.Addr()
	n.engine, err = swarm.New(swarm.Config{
		Listen: netip.AddrPortFrom(own, n.Port), Seeders: []netip.Addr{seeder}, Log: n.slog(),
		UploadLimit: n.catalog.Limits.Upload, DownloadLimit: n.catalog.Limits.Download,
	})
	if err != nil {
		return fmt.Errorf("start BitTorrent on %s: %w", own, err)
	}
	return nil
}

// stopEngine stops it, if it runs. What was fetched stays where it is.
func (n *Node) stopEngine() {
	if n.engine == nil {
		return
	}
	n.stopAccounting()
	if err := n.engine.Close(); err != nil {
		n.Log("BitTorrent did not stop cleanly: %v", err)
	}
	n.engine = nil
	n.Report.Set(func(r *wire.Report) { r.Down, r.Up, r.Peers = 0, 0, 0 })
}

// fromSeeder puts the URL below the address at which this node found the seeder before those the catalog lists: of a
// seeder's several addresses, that one is known to answer.
func (n *Node) fromSeeder(listed []string, path string) []string {
	urls := []string{n.client().Base + path}
	for _, u := range listed {
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// slog is for the engine: what it says from warnings up, or with bt.debug all, goes to the log of the node.
func (n *Node) slog() *slog.Logger {
	level := slog.LevelWarn
	if n.Cmdline.Debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(lineWriter(n.say), &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // a node's clock may be anywhere
			}
			return a
		},
	}))
}

type lineWriter func(line string)

func (w lineWriter) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}
