package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/handoff"
	"github.com/boottorrent/boottorrent/initramfs/remote"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// handed is what this node was handed on by itself, under the kernel before; nil: this is the first kernel.
type handed struct {
	*handoff.Received
	// did are the steps that were gone through with what was handed on. When one is done again, as after a failure, it asks first.
	did map[wire.Step]bool
	// open are the files of its boot part, once they are given away.
	open []*os.File
}

// first reports whether a step is to be done with what was handed on alone.
func (h *handed) first(step wire.Step) bool {
	if h == nil || h.did[step] {
		return false
	}
	h.did[step] = true
	return true
}

// readHandoff returns what was handed on in dir, if it was; what is wrong with it is a warning.
func readHandoff(dir string, image sitepart.Config) (r *handoff.Received, warnings []string) {
	var key minisign.PublicKey
	if key.UnmarshalText([]byte(image.PublicKey)) != nil {
		return nil, nil // New says so
	}
	r, err := handoff.Open(dir, key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, []string{fmt.Sprintf("%v; this node begins anew", err)}
	}
	return r, nil
}

// takeUp makes of the node's configuration that of one that goes on with what was handed on.
func takeUp(cfg Config, r *handoff.Received) (Config, error) {
	now := 0
	cfg.Handoff, cfg.Warnings = r, nil // the command line is the system's
	cfg.Cmdline = cfg.Cmdline.Continue(r.Cmdline, r.Lease.MAC.String())
	cfg.Cmdline.System, cfg.Cmdline.ConfSystem, cfg.Cmdline.Timeout = r.State.System, false, &now
	last, jump := r.Report, elapsed(r).Seconds()
	last.Phase1 = nil // that has ended with the kernel before
	last.Uptime += jump
	last.Durations = maps.Clone(last.Durations)
	if last.Durations == nil {
		last.Durations = map[wire.Step]float64{}
	}
	last.Durations[wire.Launch] += jump
	cfg.Report = report.Continue(last, time.Now)
	if len(r.HostKey) == 0 {
		return cfg, nil
	}
	// Whoever was logged in finds the same machine.
	if err := os.MkdirAll(filepath.Dir(remote.HostKeyFile), 0o755); err != nil {
		return cfg, err
	}
	return cfg, os.WriteFile(remote.HostKeyFile, r.HostKey, 0o600)
}

// elapsed is how long ago the node handed itself on.
func elapsed(r *handoff.Received) time.Duration {
	return r.Elapsed(time.Now(), time.Duration(report.Uptime()*float64(time.Second)))
}

// sameSeeder returns the seeder that the node had under the kernel before. Where that does not answer any more, the boot goes on
// with what was handed on: others have the system too.
func (n *Node) sameSeeder(ctx context.Context) string {
	base := n.handed.Seeder
	limited, cancel := context.WithTimeout(ctx, sameDeadline)
	defer cancel()
	err := n.session.Ask(limited, func(ctx context.Context, c *client.Client) error { return c.Probe(ctx) })
	if err != nil {
		n.Log("seeder: %s does not answer (%v); going on with the catalog that it gave before", base, err)
	} else {
		n.Log("seeder: %s answers", base)
	}
	return base
}

// readCatalog returns the catalog that was handed on, and later the seeder's.
func (n *Node) readCatalog(ctx context.Context) (*catalog.Catalog, error) {
	if n.handed.first(wire.Catalog) {
		n.session.signed = client.Signed{Catalog: n.handed.Catalog, Document: n.handed.Document, Signature: n.handed.Signature}
		return n.handed.Catalog, nil
	}
	var signed client.Signed
	err := n.session.Insist(ctx, func(ctx context.Context, from *client.Client) (err error) {
		signed, err = n.session.fetch(ctx, from)
		return err
	})
	if err != nil {
		return nil, err
	}
	n.session.signed = signed
	n.remember(ctx, signed.Counter)
	return signed.Catalog, nil
}

// handOn is what another kernel is handed, for a system.
func (n *Node) handOn(ctx context.Context, sys catalog.System) (*handoff.Handoff, error) {
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return nil, err
	}
	list, err := files.Encode()
	if err != nil {
		return nil, err
	}
	torrent, err := n.download.torrent(ctx, sys)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(remote.HostKeyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.Log("the SSH server will have another host key: %v", err)
	}
	lease, age := n.link.leaseAge()
	state := handoff.State{
		System: sys.Name, Seeder: n.session.Base(), Seeders: n.session.Known(), Cmdline: n.keptCmdline(), Lease: lease, LeaseAge: age,
		At: time.Now(), Report: n.Report.Snapshot(), Facts: n.facts,
	}
	if n.Shipper != nil {
		state.Logged = n.Shipper.Sent(ctx)
	}
	part, err := n.handOnPart(ctx, sys)
	if err != nil {
		return nil, err
	}
	archives, err := n.machineArchives(ctx)
	if err != nil {
		return nil, err
	}
	return &handoff.Handoff{
		Part: part, MachineFiles: archives, State: state, Catalog: n.session.signed.Document, Signature: n.session.signed.Signature, List: list, Torrent: torrent, HostKey: key,
	}, nil
}

// handOnPart is the boot part that is here, to be given away under its kernel as well; nil where nodes leave when a system starts.
func (n *Node) handOnPart(ctx context.Context, sys catalog.System) (*handoff.Part, error) {
	if n.session.catalog.Defaults.LeaveAtStart {
		return nil, nil
	}
	part, err := n.bootPart(sys)
	if err != nil {
		return nil, err
	}
	p := &handoff.Part{System: part.System, Dir: n.download.dir(part.System)}
	if p.Files, err = n.download.files(ctx, p.System); err != nil {
		return nil, err
	}
	p.Torrent, err = n.download.torrent(ctx, p.System)
	return p, err
}

// giveHanded gives away the boot part that was handed on.
func (n *Node) giveHanded() error {
	if n.handed == nil || n.handed.Part == nil || n.session.catalog.Defaults.LeaveAtStart {
		return nil
	}
	p := n.handed.Part
	if n.handed.open == nil {
		files, err := stay.OpenFiles(filepath.Join(p.Dir, p.System.Name), p.Files)
		if err != nil {
			return err
		}
		n.handed.open = files
	}
	_, err := n.download.engine.Give(p.Torrent, n.handed.open, nil)
	return err
}

// stayPart is the boot part of a system for the process that stays.
func (n *Node) stayPart(sys catalog.System) *stay.Part {
	if n.handed == nil || n.handed.Part == nil || sys.Launch.Root.Boot == nil || sys.Launch.Root.Boot.Part != n.handed.Part.System.Name {
		return nil
	}
	p := n.handed.Part
	return &stay.Part{System: p.System, Files: p.Files, Torrent: p.Torrent, Dir: p.Dir}
}

// keptCmdline is what phase 1 was started with, for the next kernel.
func (n *Node) keptCmdline() config.Cmdline {
	c := n.Cmdline
	c.Shell = false // there was one
	if n.handed != nil {
		c.Consoles = n.handed.Cmdline.Consoles // those now are the ones of a system
	}
	return c
}
