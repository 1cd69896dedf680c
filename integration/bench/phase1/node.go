package phase1

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/helper"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"

	wire "github.com/boottorrent/boottorrent/internal/report"
)

// job is what a machine is told, as JSON in its argument.
type job struct {
	Site, Base, Dir string
	Seeder, Addr    netip.Addr
	Number          int
	// Boot is how long the machine takes from having loaded phase 1 until its first report of a fetch.
	Boot time.Duration
}

// loaded is what a machine prints when it has loaded phase 1.
type loaded struct {
	Seconds float64 `json:"seconds"`
	Seeder  int64   `json:"seeder"`
	Helpers int64   `json:"helpers"`
	Waits   int     `json:"waits"`
}

// machine is `bench phase1 machine JOB`: a firmware that follows the boot script from SIGUSR1 on, and then a node that reports and helps.
func machine(ctx context.Context, text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	fmt.Println("ready")
	select {
	case <-begin:
	case <-ctx.Done():
		return ctx.Err()
	}
	began := time.Now()
	f := &firmware{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, settings: map[string]string{"netX/ip": j.Addr.String(), "netX/mac": j.mac()}}
	if err := f.run(ctx, j.Base+"/boot/boot.ipxe"); err != nil {
		return err
	}
	out, err := json.Marshal(loaded{time.Since(began).Seconds(), f.seeder, f.helpers, f.waits})
	if err != nil {
		return err
	}
	fmt.Printf("loaded %s\n", out)
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(j.Boot):
	}
	return j.node(ctx)
}

func (j job) mac() string { return fmt.Sprintf("52:54:00:00:01:%02x", j.Number) }

// node is a node that fetches a system, as far as the seeder knows, and helps when it is asked: with the code of real nodes.
func (j job) node(ctx context.Context) error {
	s, problems := site.Load(j.Site)
	if s == nil {
		return problems
	}
	key, err := s.PublicKey()
	if err != nil {
		return err
	}
	seeder := &client.Client{Base: j.Base, Key: key}
	engine, err := swarm.New(swarm.Config{Listen: netip.AddrPortFrom(j.Addr, 6881), Seeders: []swarm.Seeder{{HTTP: j.Base, Torrent: netip.AddrPortFrom(j.Seeder, 0)}}})
	if err != nil {
		return err
	}
	defer engine.Close()
	reporter := report.New(time.Now)
	help := helper.New(helper.Config{
		Seeder: func() *client.Client { return seeder }, Newest: func(uint64, string) error { return nil }, Room: func(int64) error { return nil },
		Address: func() netip.Addr { return j.Addr }, Engine: func() (*swarm.Engine, func(), error) { return engine, func() {}, nil },
		Dir: j.Dir, Report: reporter, Log: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
	})
	help.Resume()
	reporter.Set(func(r *wire.Report) { r.MAC, r.IP, r.Arch, r.System = j.mac(), j.Addr.String(), "amd64", "tiny" })
	reporter.Begin(wire.Fetch)
	go reporter.Run(ctx, &report.Obedient{Seeder: func() report.Exchanger { return seeder }, Reporter: reporter, Key: key, Help: help.Ask})
	for tick := time.NewTicker(time.Second); ; { // a node that fetches has more each second
		select {
		case <-ctx.Done():
			help.Stop("the benchmark ends")
			return nil
		case <-tick.C:
			reporter.Set(func(r *wire.Report) { r.Done++ })
		}
	}
}
