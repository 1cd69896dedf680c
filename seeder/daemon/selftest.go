package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
	release "github.com/boottorrent/boottorrent/internal/version"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/selftest"
)

// retest is how often a running seeder tests itself anew, so that what was mended goes from its page.
const retest = 10 * time.Minute

// SelfTest tests a site on this machine without serving it.
func SelfTest(ctx context.Context, s *site.Site) []selftest.Finding {
	on, missing, err := interfaces(s.Serve)
	if err == nil {
		err = missing
	}
	in := testOf(s, on, err)
	_, err = Control{Dir: s.Dir}.Status(ctx)
	in.Running = err == nil || errors.Is(err, fs.ErrPermission) // of another user's, the socket can't be opened
	return selftest.Run(ctx, in)
}

// testOf is what is tested of a site that is served on some interfaces; missing says which of those it names is not there.
func testOf(s *site.Site, on []Interface, missing error) selftest.Input {
	all, _ := addressed() // of which it was told why it fails
	return selftest.Input{
		Site: s, Interfaces: dhcpInterfaces(on), All: dhcpInterfaces(all), NoInterface: missing,
		Loaders: loaders.New(s.Dir), Release: release.Release, Revision: release.Revision(), Wait: dhcp.NeighbourWait,
	}
}

func dhcpInterfaces(all []Interface) []dhcp.Interface {
	converted := make([]dhcp.Interface, len(all))
	for i, one := range all {
		converted[i] = dhcp.Interface(one)
	}
	return converted
}

// tester tests a running seeder, and keeps what it found.
type tester struct {
	log *slog.Logger
	// run tests, and waits for other DHCP servers or doesn't look for them.
	run func(ctx context.Context, wait time.Duration) []selftest.Finding

	mu    sync.Mutex
	found []selftest.Finding
}

// watch tests now, whenever something is received from again, and from time to time, until ctx ends.
func (t *tester) watch(ctx context.Context, again <-chan struct{}) {
	tick := time.NewTicker(retest)
	defer tick.Stop()
	t.test(ctx, 0) // what needs no waiting is to be read at once
	for {
		t.test(ctx, dhcp.NeighbourWait)
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-tick.C:
		}
	}
}

// test tests once, and logs what was not known before.
func (t *tester) test(ctx context.Context, wait time.Duration) {
	found := t.run(ctx, wait)
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	before := t.found
	t.found = found
	t.mu.Unlock()
	for _, f := range found {
		if slices.Contains(before, f) {
			continue
		}
		level := slog.LevelInfo
		switch f.Severity {
		case selftest.Problem:
			level = slog.LevelError
		case selftest.Warning:
			level = slog.LevelWarn
		}
		t.log.Log(ctx, level, f.What, "do", f.Do)
	}
	for _, f := range before {
		if !slices.Contains(found, f) {
			t.log.Info("mended: " + f.What)
		}
	}
}

func (t *tester) list() []selftest.Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found
}

// handler answers with the findings as JSON.
func (t *tester) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		found := t.list()
		if found == nil {
			found = []selftest.Finding{}
		}
		_ = json.NewEncoder(w).Encode(found) // the client has gone
	})
}
