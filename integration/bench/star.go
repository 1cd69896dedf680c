package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/tracker"
)

// star is a switch with a seeder and nodes at it, each in a network namespace with a cable of its own.
type star struct {
	room   *lab.Room
	seeder *lab.Host
	nodes  []*lab.Host
	server *http.Server
}

const (
	trackerPort = 6969
	// mtu saves CPU time: with 1500 the kernel's part of moving a byte between namespaces would be twice as large.
	mtu = 4000
)

// newStar makes the room of a scenario.
func newStar(ctx context.Context, s scenario) (*star, error) {
	room, err := lab.New(ctx, "bench", lab.MTU(mtu))
	if err != nil {
		return nil, err
	}
	st := &star{room: room}
	for i := range s.Nodes + 1 {
		name, rate := "seeder", s.Server
		if i > 0 {
			name, rate = fmt.Sprintf("n%d", i), s.Link
		}
		host, err := room.Host(name, lab.Addr(addr(i).String()+"/16"), lab.Rate(rate))
		if err != nil {
			return nil, errors.Join(err, room.Close())
		}
		if i == 0 {
			st.seeder = host
		} else {
			st.nodes = append(st.nodes, host)
		}
	}
	if err := room.Introduce(append(st.nodes, st.seeder)...); err != nil {
		return nil, errors.Join(err, room.Close())
	}
	return st, nil
}

// addr is the address of node i; the seeder is number 0.
func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, byte(i / 200), byte(i%200 + 1)})
}

func trackerURL(seeder netip.Addr) string {
	return fmt.Sprintf("http://%s:%d/announce", seeder, trackerPort)
}

// track starts the project's tracker on the seeder's host. It tells every engine's nodes of the seeder from the start.
func (st *star) track(h catalog.InfoHash) error {
	var l net.Listener
	err := st.seeder.Do(func() (err error) {
		l, err = net.Listen("tcp4", netip.AddrPortFrom(st.seeder.IP(), trackerPort).String())
		return err
	})
	if err != nil {
		return fmt.Errorf("start the tracker: %w", err)
	}
	seed := netip.AddrPortFrom(st.seeder.IP(), btPort)
	t := tracker.New(tracker.Config{Seeds: func(netip.Addr) netip.AddrPort { return seed }})
	t.SetTorrents([]catalog.InfoHash{h})
	mux := http.NewServeMux()
	mux.Handle("/announce", t.Announce())
	st.server = &http.Server{Handler: mux}
	go func() { _ = st.server.Serve(l) }() // until close
	return nil
}

// accepts waits until something on the seeder's host takes connections at a port.
func (st *star) accepts(ctx context.Context, p *process, port uint16) error {
	for {
		conn, err := st.seeder.Dial(ctx, "tcp4", netip.AddrPortFrom(st.seeder.IP(), port).String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return p.failure(fmt.Sprintf("ended before it took connections at port %d (%v)", port, p.err))
		case <-ctx.Done():
			return p.failure(fmt.Sprintf("takes no connections at port %d: %v", port, context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sent is how many bytes have left the seeder's network card, headers included.
func (st *star) sent() (n uint64, err error) {
	err = st.seeder.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			n = link.Attrs().Statistics.TxBytes
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read the counters of the seeder's card: %w", err)
	}
	return n, nil
}

// close ends every program in the room and removes it.
func (st *star) close() error {
	var err error
	if st.server != nil {
		err = st.server.Close()
	}
	return errors.Join(err, st.room.Close())
}

// workDirs is where images and copies are kept: memory, as on a node.
const workDirs = "/dev/shm"

// warm takes as much memory as the copies of a run need, and gives it back. The first touch of a page by a virtual
// machine costs its host many times what later ones do: whoever is measured first would pay for all.
func warm(dir string, size int64) (err error) {
	f, err := os.Create(filepath.Join(dir, "warm"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	buf := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(buf)) {
		if _, err := f.WriteAt(buf, at); err != nil {
			return fmt.Errorf("the copies need %d MiB of memory at %s: %w", size>>20, dir, err)
		}
	}
	return nil
}

// newWorkDir makes a folder in memory and removes what benchmarks that were killed left there.
func newWorkDir() (string, error) {
	const prefix = "boottorrent-bench-"
	old, err := filepath.Glob(filepath.Join(workDirs, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		pid := filepath.Base(dir)[len(prefix):]
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			if err := os.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	dir := filepath.Join(workDirs, fmt.Sprintf("%s%d", prefix, os.Getpid()))
	return dir, os.Mkdir(dir, 0o755)
}
