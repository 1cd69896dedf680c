package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// node is one machine.
type node struct {
	room   *room
	number int
	seed   time.Duration

	addr   netip.Addr
	client *client.Client
	report report.Report
	// unheard is how many reports and batches of log lines the seeder did not take. That holds up no boot, on real nodes too.
	unheard int
}

// boot is the whole way of a machine, from DHCP until it leaves.
func (n *node) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	mac := net.HardwareAddr{0x52, 0x54, 0, byte(n.number >> 16), byte(n.number >> 8), byte(n.number)}
	addr, file, err := n.room.relay.lease(ctx, mac)
	if err != nil {
		return err
	}
	n.addr = addr
	if _, err := fetchTFTP(ctx, addr, file); err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: addr.AsSlice()}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableCompression: false}
	defer transport.CloseIdleConnections()
	base := "http://" + netip.AddrPortFrom(seederAddr, httpPort).String()
	n.client = &client.Client{Base: base, Key: n.room.key, HTTP: &http.Client{Transport: transport}}
	n.report = report.Report{
		Boot: fmt.Sprint("boot ", n.number), MAC: mac.String(), IP: addr.String(), Arch: "amd64", MemoryMiB: 4096,
		Durations: map[report.Step]float64{report.Hardware: 0.5, report.Network: 1},
	}
	if err := n.fetchPhase1(ctx); err != nil {
		return err
	}
	n.say(ctx, report.Catalog, report.Running)
	return n.system(ctx)
}

// fetchPhase1 gets the script, and the kernel and initramfs that it names.
func (n *node) fetchPhase1(ctx context.Context) error {
	script, err := n.get(ctx, catalog.PathScript)
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(script)) {
		if at := strings.Index(word, catalog.PathBoot); at >= 0 {
			if _, err := n.get(ctx, word[at:]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *node) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.client.Base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := n.client.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// say reports how the node stands.
func (n *node) say(ctx context.Context, step report.Step, state report.State) {
	n.report.Step, n.report.State = step, state
	if n.client.Report(ctx, n.report) != nil {
		n.unheard++
	}
}

// system fetches a system, gives it away for a while, and leaves.
func (n *node) system(ctx context.Context) error {
	cat, err := n.client.Catalog(ctx)
	if err != nil {
		return err
	}
	sys := cat.Systems[n.number%len(cat.Systems)]
	files, err := n.client.Files(ctx, sys)
	if err != nil {
		return err
	}
	torrent, err := n.client.Torrent(ctx, sys.InfoHash)
	if err != nil {
		return err
	}
	dir := filepath.Join(n.room.dir, "nodes", fmt.Sprint(n.number))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engine, err := swarm.New(swarm.Config{Listen: netip.AddrPortFrom(n.addr, torrentPort), Seeders: []swarm.Seeder{{Torrent: netip.AddrPortFrom(seederAddr, 0)}}})
	if err != nil {
		return err
	}
	defer engine.Close()
	n.report.System, n.report.InfoHash = sys.Name, sys.InfoHash.String()
	n.say(ctx, report.Fetch, report.Running)
	began := time.Now()
	err = engine.Fetch(ctx, swarm.Source{
		Torrent: torrent, System: sys, Files: files, Dir: dir, Trackers: cat.Trackers,
		WebSeeds: []string{n.client.Base + catalog.WebSeedPath(sys.InfoHash)},
	}, nil)
	if err != nil {
		return err
	}
	n.report.Durations[report.Fetch] = time.Since(began).Seconds()
	if err := n.giveAway(ctx, engine, sys); err != nil {
		return err
	}
	n.say(ctx, report.Launch, report.Done)
	return nil
}

// giveAway seeds, reports once a second, and sends the log.
func (n *node) giveAway(ctx context.Context, engine *swarm.Engine, sys catalog.System) error {
	lines := make([]string, 200)
	for i := range lines {
		lines[i] = fmt.Sprintf("[%5d.000000] node %d: a line of a kernel's log, as long as they are", i, n.number)
	}
	if n.client.Log(ctx, report.Log{Boot: n.report.Boot, MAC: n.report.MAC, Lines: lines}) != nil {
		n.unheard++
	}
	for end := time.Now().Add(n.seed); time.Now().Before(end); {
		if s, ok := engine.Stats(sys.InfoHash); ok {
			n.report.Transfer = s.Transfer
		}
		n.say(ctx, report.Seed, report.Running)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}
