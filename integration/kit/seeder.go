package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os/exec"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// Seeder is a running `seeder serve`.
type Seeder struct {
	*lab.Process
	// Base is its HTTP base URL.
	Base string
	host *lab.Host
}

// Serve runs `seeder serve` on a host of the room and returns when it is ready.
func (s *Site) Serve(ctx context.Context, host *lab.Host) (*Seeder, error) {
	return s.Kit.serving(ctx, host, "serve", s.Dir)
}

// Mirror runs `seeder mirror` on a host of the room, which follows the seeder at an address and keeps what it has in dir, and returns when it is
// ready. Key is the site's public key, or empty.
func (k *Kit) Mirror(ctx context.Context, host *lab.Host, upstream, dir, key string) (*Seeder, error) {
	args := []string{"mirror", upstream, dir}
	if key != "" {
		args = append(args, "--key", key)
	}
	return k.serving(ctx, host, args...)
}

// serving runs a command of the seeder that serves until it is stopped.
func (k *Kit) serving(ctx context.Context, host *lab.Host, args ...string) (*Seeder, error) {
	p, err := host.Start(ctx, k.Seeder, args...)
	if err != nil {
		return nil, err
	}
	match, err := p.Expect(ctx, `(http://\S+) +DHCP: .*\n(.*\n)*?and offers (\d+) system`)
	if err != nil {
		p.Stop()
		return nil, err
	}
	return &Seeder{Process: p, Base: match[1], host: host}, nil
}

// Order runs a command of the seeder's machine about nodes, such as "reboot" with a MAC address, and returns what it says. It is an error
// if not all of them take it.
func (s *Site) Order(ctx context.Context, command string, args ...string) (said string, err error) {
	out, err := exec.CommandContext(ctx, s.Kit.Seeder, append([]string{command, s.Dir}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("seeder %s %v: %w: %s", command, args, err, out)
	}
	return string(out), nil
}

// Nodes returns what the nodes have reported.
func (s *Seeder) Nodes(ctx context.Context) ([]report.Node, error) {
	var nodes []report.Node
	return nodes, s.get(ctx, catalog.PathNodes, &nodes)
}

// Status returns what has become of the site, and what was sent of phase 1.
func (s *Seeder) Status(ctx context.Context) (status.Site, error) {
	var site status.Site
	return site, s.get(ctx, status.Path, &site)
}

// Files returns the list of a system's files.
func (s *Seeder) Files(ctx context.Context, sys catalog.System) (catalog.FileList, error) {
	var l catalog.FileList
	return l, s.get(ctx, catalog.FileListPath(sys.InfoHash), &l)
}

// Catalog returns the catalog, without verifying it.
func (s *Seeder) Catalog(ctx context.Context) (catalog.Catalog, error) {
	var c catalog.Catalog
	return c, s.get(ctx, catalog.PathCatalog, &c)
}

// Addr is the seeder's address in the room.
func (s *Seeder) Addr() netip.Addr { return s.host.IP() }

func (s *Seeder) get(ctx context.Context, path string, into any) error {
	body, err := s.read(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// read returns what is served at a path.
func (s *Seeder) read(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.host.HTTP().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", req.URL, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// Served is a seeder that something else has started on a host of the room.
func Served(host *lab.Host) *Seeder {
	return &Seeder{Base: "http://" + host.IP().String() + ":8080", host: host}
}
