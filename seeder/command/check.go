package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
)

type checkCmd struct {
	Dir      string   `arg:"" help:"The site directory, or a mirror's."`
	SiteOnly bool     `help:"Read the site's files alone, and test neither its image nor this machine and its network."`
	Origins  bool     `help:"Ask the servers that files come from (from: in a config.yaml) whether they have them. Nothing is fetched."`
	Machine  string   `placeholder:"MAC" help:"Print what a machine would do, and which rule says so: a MAC address, the machine's name in the site, or the host name or IP address that it has reported. What it reported to the running seeder is what is known of it."`
	Fact     []string `sep:"none" placeholder:"KEY=VALUE" help:"With --machine: something more that is known of it, such as memory='8 GiB' or firmware=uefi. Can be given several times."`
}

// Run prints every problem of a site, and of this machine as the one that serves it.
func (c checkCmd) Run(ctx context.Context, term terminal) error {
	if len(c.Fact) > 0 && c.Machine == "" {
		return errors.New("--fact says something of a machine; name it with --machine MAC")
	}
	if site.IsMirror(c.Dir) {
		return c.checkMirror(ctx, term)
	}
	s, err := load(c.Dir, term)
	if err != nil {
		return err
	}
	if c.Machine != "" {
		return c.showMachine(ctx, s, term)
	}
	showMemory(s, term)
	showFiles(s, term)
	room := s.CheckRoom(c.Dir)
	for _, p := range room {
		fmt.Fprintln(term.Err, p)
	}
	showAbsent(s, term)
	n := len(s.AllProblems()) + len(room)
	if c.Origins {
		n += showOrigins(ctx, s, term)
	}
	if !c.SiteOnly {
		found := daemon.SelfTest(ctx, s)
		for _, f := range found {
			fmt.Fprintln(term.Err, f)
		}
		n += selftest.Problems(found)
	}
	if !c.SiteOnly {
		n += showStatus(ctx, s, term)
		showCounter(c.Dir, term)
	}
	if n > 0 {
		fmt.Fprintf(term.Err, "%s: %s; without what they concern, the site %q can be served: %s\n", c.Dir, text.Count(n, "problem"), s.Name, text.Count(len(s.Systems)-len(room), "system"))
		return cli.ErrReported
	}
	also := ""
	if n := len(s.Absent); n > 0 {
		also = ", and " + text.Count(n, "system") + " whose files are still to be fetched"
	}
	_, err = fmt.Fprintf(term.Out, "%s: the site %q is in order: %s%s\n", c.Dir, s.Name, text.Count(len(s.Systems), "system"), also)
	return err
}

// showMemory says of each root file system what memory machines need for it: of others that depends on the machine.
func showMemory(s *site.Site, term terminal) {
	for _, sys := range s.Systems {
		root := sys.Launch.Root
		if root == nil {
			continue
		}
		var images int64
		for _, name := range sys.Files {
			if info, err := os.Stat(sys.Path(name)); err == nil {
				images += info.Size()
			}
		}
		fmt.Fprintf(term.Out, "%s: nodes need %s of memory for it beside what they use themselves; %s of that for its images\n",
			sys.Name, text.Size(root.Memory(images)), text.Size(images))
	}
}

// showFiles says what machines get beside their system.
func showFiles(s *site.Site, term terminal) {
	for _, f := range s.Files {
		who := f.For
		if f.For == catalog.FilesAll {
			who = "all machines"
		}
		fmt.Fprintf(term.Out, "%s: files, folders and links for %s: %d, %s\n", filepath.Join(site.FilesDir, f.For), who, f.Entries, text.Size(int64(len(f.Archive))))
	}
}

// showCounter prints what nodes that refuse an old catalog speak of. What is wrong with it the self-test says.
func showCounter(dir string, term terminal) {
	if n, err := counter.Read(filepath.Join(dir, site.StateDir)); err == nil {
		fmt.Fprintf(term.Out, "%s: the last catalog or boot manifest has the counter %d\n", dir, n)
	}
}

// showStatus prints what the running seeder says of systems that are not published, and returns the number of its problems that can't be
// read in the folders, such as a full disk.
func showStatus(ctx context.Context, s *site.Site, term terminal) (problems int) {
	now, err := daemon.Control{Dir: s.Dir}.Status(ctx)
	if errors.Is(err, daemon.ErrNotRunning) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(term.Err, "warning:", err)
		return 0
	}
	for _, m := range now.Mirrors {
		fmt.Fprintf(term.Out, "the mirror %s: %s\n", m.HTTP, status.MirrorWords(m, now.Counter, 0))
	}
	for _, sys := range now.Systems {
		if sys.State == status.Published && len(sys.Problems) == 0 {
			continue
		}
		if slices.ContainsFunc(s.Broken, func(b site.Broken) bool { return b.Name == sys.Name }) {
			sys.Problems = nil // they were printed, as they are in its folder now
		}
		fmt.Fprintln(term.Err, "the running seeder says: "+describe(sys))
		problems += len(sys.Problems)
	}
	return problems
}
