// Package site measures what ten thousand nodes cost the programs that serve them: in go a number of nodes, out come the announces that one
// tracker answers, and the memory, processor time and answer times of a seeder and of a mirror to which all nodes report, as JSON.
//
// A real seeder and a real mirror of it serve in network namespaces. All nodes are one more host behind a route, with an address and a connection
// for each node, as a room has. It shares the processors with the seeder, so that processor time for each request says more than requests a second.
package site

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// kind is what results are kept as.
const kind = "site"

// Result is what was measured.
type Result struct {
	Time  time.Time `json:"time"`
	CPUs  int       `json:"cpus"`
	Nodes int       `json:"nodes"`
	// Busy is the part of the processors' time that other programs took meanwhile, in percent.
	Busy      float64    `json:"others_percent"`
	Announces []Announce `json:"announces,omitempty"`
	Reports   []Reports  `json:"reports,omitempty"`
}

// Command is bench site.
func Command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench site", flag.ContinueOnError)
	nodes := flags.Int("nodes", 10000, "how many nodes there are")
	what := flags.String("what", "announces", "what to measure: announces, seeder or mirror (reports to it)")
	every := flags.Duration("every", 5*time.Second, "how often a node reports")
	lasting := flags.Duration("time", 30*time.Second, "how long it is measured")
	dir := flags.String("dir", "", "folder in which programs and site stay for the next time; none: a temporary one")
	results := flags.String("results", "integration/bench/results/site", "folder to keep the results in")
	docs := flags.String("docs", "", "measure nothing, but write the table of the results into this document")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *docs != "" {
		return write(*results, *docs)
	}
	r := Result{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Nodes: *nodes}
	err := withRig(ctx, *dir, *what == "mirror", func(g *rig) (err error) {
		began := readClock(g.seeder.Pid())
		switch *what {
		case "announces":
			r.Announces, err = g.announces(ctx, *nodes, *lasting)
		case "seeder", "mirror":
			r.Reports, err = g.reports(ctx, *what, *nodes, *every, *lasting)
		default:
			err = fmt.Errorf("--what is %q, want announces, seeder or mirror", *what)
		}
		r.Busy = round(readClock(g.seeder.Pid()).others(began))
		return err
	})
	if err != nil {
		return err
	}
	if _, err := kept.Write(*results, kind, r.Time, r); err != nil {
		return err
	}
	return printResult(out, r)
}

// rig is a seeder, perhaps a mirror, and the host that all nodes are on.
type rig struct {
	seeder, mirror *kit.Seeder
	crowd          *lab.Host
	torrent        catalog.InfoHash
}

// The network of the seeders, and that of the nodes behind the host crowd.
const (
	seederAddr, mirrorAddr, crowdAddr = "10.88.0.1", "10.88.0.2", "10.88.0.9"
	crowdNetwork                      = "10.99.0.0/16"
)

// nodeAddr is the address of a node.
func nodeAddr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 99, byte(1 + n/250), byte(1 + n%250)})
}

// withRig calls measure while a seeder serves, and a mirror if it is wanted.
func withRig(ctx context.Context, dir string, mirror bool, measure func(*rig) error) (err error) {
	temporary, err := os.MkdirTemp("", "boottorrent-site-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	site, err := makeSite(ctx, cmp.Or(dir, temporary))
	if err != nil {
		return err
	}
	room, err := lab.New(ctx, "site")
	if err != nil {
		return err
	}
	defer room.Close()
	g := &rig{}
	host, err := g.host(ctx, room, "seeder", seederAddr)
	if err != nil {
		return err
	}
	if g.crowd, err = g.host(ctx, room, "crowd", crowdAddr); err != nil {
		return err
	}
	if g.seeder, err = site.Serve(ctx, host); err != nil {
		return err
	}
	defer g.seeder.Stop()
	if mirror {
		at, err := g.host(ctx, room, "mirror", mirrorAddr)
		if err != nil {
			return err
		}
		if g.mirror, err = site.Kit.Mirror(ctx, at, g.seeder.Base, filepath.Join(temporary, "mirror"), site.Path(publicKey)); err != nil {
			return err
		}
		defer g.mirror.Stop()
		g.mirror.Base = kit.Served(at).Base
	}
	c, err := g.seeder.Catalog(ctx)
	if err != nil {
		return err
	}
	g.torrent = c.Systems[0].InfoHash
	return measure(g)
}

// publicKey is the file of a site's.
const publicKey = "boottorrent.pub"

// makeSite builds the programs and a site with a small system, unless they are in the folder from the last time.
func makeSite(ctx context.Context, dir string) (*kit.Site, error) {
	bin := filepath.Join(dir, "bin")
	s := &kit.Site{Dir: filepath.Join(dir, "site"), Kit: &kit.Kit{Seeder: filepath.Join(bin, "seeder"), Mkimage: filepath.Join(bin, "mkimage"), Output: os.Stderr}}
	if _, err := os.Stat(s.Path("oss", "tiny")); err == nil {
		return s, nil
	}
	k, err := kit.Build(ctx, bin, os.Stderr)
	if err != nil {
		return nil, err
	}
	if s, err = k.NewSite(ctx, s.Dir, "site"); err != nil {
		return nil, err
	}
	return s, errors.Join(s.MakeImage(ctx), s.AddTiny(ctx, "tiny", 1<<20), s.Configure("version: 1\nname: site\ndhcp: {mode: \"off\"}\n"))
}

// host is one with a route to the nodes, or the one on which they are.
func (g *rig) host(ctx context.Context, room *lab.Room, name, addr string) (*lab.Host, error) {
	h, err := room.Host(name, lab.Addr(addr+"/16"))
	if err != nil {
		return nil, err
	}
	route := []string{"route", "add", crowdNetwork, "via", crowdAddr}
	if addr == crowdAddr {
		route = []string{"route", "add", "local", crowdNetwork, "dev", "lo"}
	}
	if said, err := h.Command(ctx, "ip", route...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ip %v: %w: %s", route, err, said)
	}
	return h, nil
}
