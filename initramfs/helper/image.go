package helper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// accountTime is how often the number of bytes given away is reported.
const accountTime = 2 * time.Second

// help fetches an image and gives it away until ctx ends.
func (h *Helper) help(ctx context.Context, image catalog.InfoHash) error {
	began := time.Now()
	source, runtime, err := h.find(ctx, image)
	if err != nil {
		return err
	}
	if err := h.Room(runtime.Size); err != nil {
		return err
	}
	engine, done, err := h.Engine()
	if err != nil {
		return err
	}
	defer done()
	files, err := h.fetch(ctx, engine, source)
	defer closeAll(files)
	if err != nil {
		return err
	}
	defer engine.Remove(image)
	// Other helpers get the image from this one.
	if _, err := engine.Give(source.Torrent, files, nil); err != nil {
		return err
	}
	return h.give(ctx, engine, source, files, time.Since(began))
}

// find looks an image up in the catalog.
func (h *Helper) find(ctx context.Context, image catalog.InfoHash) (s swarm.Source, r catalog.Runtime, err error) {
	seeder := h.Seeder()
	cat, err := seeder.Catalog(ctx)
	if err == nil {
		err = h.Newest(cat.Counter, seeder.Base)
	}
	if err != nil {
		return s, r, err
	}
	i := slices.IndexFunc(cat.Runtimes, func(r catalog.Runtime) bool { return r.InfoHash == image && catalog.IsPhase1(r.Name) })
	if i < 0 {
		return s, r, fmt.Errorf("the seeder asks for the image %s, which its catalog does not name", image)
	}
	r = cat.Runtimes[i]
	s = swarm.Source{System: r.System, Dir: h.Dir}
	if s.Files, err = seeder.Files(ctx, r.System); err != nil {
		return s, r, err
	}
	s.Torrent, err = seeder.Torrent(ctx, image)
	return s, r, err
}

// fetch fetches the files, which Engine.Fetch verifies, and returns them open and without a name.
func (h *Helper) fetch(ctx context.Context, engine *swarm.Engine, s swarm.Source) (files []*os.File, err error) {
	if err := os.RemoveAll(h.Dir); err != nil { // what a program left that was killed
		return nil, fmt.Errorf("make room for phase 1: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.Dir)) }()
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make room for phase 1: %w", err)
	}
	if err := engine.Fetch(ctx, s, nil); err != nil {
		return nil, err
	}
	engine.Remove(s.System.InfoHash)
	for _, f := range s.Files {
		file, err := os.Open(filepath.Join(h.Dir, s.System.Name, filepath.FromSlash(f.Path)))
		if err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// give gives the files away until ctx ends, and a while longer to those who have not finished.
func (h *Helper) give(ctx context.Context, engine *swarm.Engine, s swarm.Source, files []*os.File, took time.Duration) error {
	listener, err := h.listen()
	if err != nil {
		return err
	}
	srv := newServer(engine.UploadLimiter(), &h.counts)
	for i, f := range s.Files {
		srv.files[catalog.BootPath(f.Path, f.SHA256)] = content{files[i], f.Size}
	}
	port := listener.Addr().(*net.TCPAddr).Port
	h.Log("phase 1 is given away to machines that start: %s, at port %d, %.1f s after the seeder asked for it", s.System.InfoHash, port, took.Seconds())
	say := func() *wire.Phase1 {
		return &wire.Phase1{Port: port, Image: s.System.InfoHash.String(), Served: h.counts.sent.Load()}
	}
	h.Report.SetNow(func(r *wire.Report) { r.Phase1 = say() })
	defer func() {
		h.Log("phase 1 is no longer given away; machines got %d MiB of it here", h.counts.sent.Load()>>20)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		srv.serve(listener)
	}()
	h.account(ctx, say)
	h.Report.SetNow(func(r *wire.Report) { r.Phase1 = nil }) // the seeder sends nobody more
	_ = listener.Close()
	<-ended
	srv.end(min(max(took, graceLeast), graceMost))
	return nil
}

// account reports how much machines got until ctx ends.
func (h *Helper) account(ctx context.Context, say func() *wire.Phase1) {
	tick := time.NewTicker(accountTime)
	defer tick.Stop()
	for last := h.counts.sent.Load(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := h.counts.sent.Load(); now != last {
			last = now
			h.Report.Set(func(r *wire.Report) { r.Phase1 = say() })
		}
	}
}

// listen takes the usual port, or any.
func (h *Helper) listen() (net.Listener, error) {
	address := h.Address()
	listener, err := net.Listen("tcp4", netip.AddrPortFrom(address, Port).String())
	if err != nil {
		listener, err = net.Listen("tcp4", net.JoinHostPort(address.String(), strconv.Itoa(0)))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s for machines that start: %w", address, err)
	}
	return listener, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // which was only read
	}
}
