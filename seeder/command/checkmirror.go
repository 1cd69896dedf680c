package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/mirror"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// checkMirror prints every problem of a mirror, and what it has.
func (c checkCmd) checkMirror(ctx context.Context, term terminal) error {
	if c.Machine != "" {
		return errors.New("this is a mirror, which has no rules of its own: say it at the site's own seeder")
	}
	m, err := loadMirror(c.Dir, term)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "%s: a mirror that follows %s\n", c.Dir, strings.Join(m.Upstream, ", "))
	n := 0
	if !c.SiteOnly {
		found := daemon.SelfTest(ctx, m.Site)
		for _, f := range found {
			fmt.Fprintln(term.Err, f)
		}
		n = selftest.Problems(found)
	}
	more, err := showMirror(ctx, m, term)
	if err != nil {
		return err
	}
	if n += more; n > 0 {
		fmt.Fprintf(term.Err, "%s: %s\n", c.Dir, text.Count(n, "problem"))
		return cli.ErrReported
	}
	_, err = fmt.Fprintf(term.Out, "%s: the mirror is in order\n", c.Dir)
	return err
}

// showMirror prints what a mirror has, as it says itself where it runs, and returns the number of its problems.
func showMirror(ctx context.Context, m *site.Mirror, term terminal) (problems int, err error) {
	now, err := daemon.Control{Dir: m.Dir}.Status(ctx)
	if errors.Is(err, daemon.ErrNotRunning) {
		return 0, showKept(m, term)
	}
	if err != nil {
		fmt.Fprintln(term.Err, "warning:", err)
		return 0, nil
	}
	for _, p := range now.Problems {
		fmt.Fprintln(term.Err, "the running mirror says:", p)
	}
	for _, sys := range now.Systems {
		if len(sys.Problems) > 0 {
			fmt.Fprintln(term.Err, "the running mirror says: "+describe(sys))
			problems += len(sys.Problems)
			continue
		}
		here := ""
		if sys.State == status.Fetching {
			here = fmt.Sprintf(": %d %%", sys.Done*100/max(sys.Size, 1))
		}
		fmt.Fprintf(term.Out, "%s: %s%s\n", sys.Name, mirrorState[sys.State], here)
	}
	if now.Mirror != nil && now.Mirror.InStep {
		fmt.Fprintln(term.Out, now.Mirror.Words(time.Now()))
	}
	for _, m := range now.Mirrors {
		fmt.Fprintf(term.Out, "the mirror %s: %s\n", m.HTTP, status.MirrorWords(m, now.Counter, 0))
	}
	if now.Counter > 0 {
		fmt.Fprintf(term.Out, "the catalog that it serves has the counter %d\n", now.Counter)
	}
	return problems + len(now.Problems), nil
}

// mirrorState says in words how a system's files stand.
var mirrorState = map[status.State]string{
	status.Published: "its files are here", status.Fetching: "its files are being fetched", status.Elsewhere: "its files are fetched when a machine wants them",
}

// showKept prints what a mirror that does not run has.
func showKept(m *site.Mirror, term terminal) error {
	key, err := m.PublicKey()
	if err != nil {
		return err
	}
	kept, err := mirror.OpenKept(filepath.Join(m.Dir, site.StateDir, daemon.MirrorDir), key, slog.New(slog.DiscardHandler))
	if errors.Is(err, mirror.ErrNothingKept) {
		_, err = fmt.Fprintln(term.Out, "it has no catalog yet, and does not run")
		return err
	}
	if err != nil {
		return err
	}
	defer kept.Close()
	fmt.Fprintf(term.Out, "it does not run; it has the catalog of the site %q of %s, with the counter %d\n", kept.Catalog.Site,
		kept.Catalog.Created.Local().Format(time.DateTime), kept.Catalog.Counter)
	for _, s := range kept.Catalog.Systems {
		state := status.Elsewhere
		if v := kept.Versions[s.InfoHash]; v != nil && v.Sealed() {
			state = status.Published
		}
		fmt.Fprintf(term.Out, "%s: %s\n", s.Name, mirrorState[state])
	}
	return nil
}
