package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/journal"
)

type initCmd struct {
	Dir  string `arg:"" type:"path" help:"The directory to make; it may exist."`
	Name string `help:"The site's name, shown on every node. Default: the directory's name."`
}

// Run makes a site directory.
func (c initCmd) Run(term terminal) error {
	name := c.Name
	if name == "" {
		name = filepath.Base(c.Dir)
	}
	if err := site.Init(c.Dir, name); err != nil {
		return err
	}
	fmt.Fprintf(term.Out, `The site %q is in %s:
  %-18s what the seeder does; every key is in it, with its default
  %-18s the systems, a folder each
  %-18s signs the catalog: keep it secret, and keep it

Next: put a system into %s, then
`, name, c.Dir, site.ConfigFile, site.SystemsDir+"/", site.SecretKeyFile, filepath.Join(c.Dir, site.SystemsDir))
	dir, w := cli.Quote(c.Dir), tabwriter.NewWriter(term.Out, 0, 8, 3, ' ', 0)
	fmt.Fprintf(w, "  %s %s\tbuilds what the nodes start\n", self.Mkimage(), dir)
	fmt.Fprintf(w, "  %s check %s\tfinds what keeps machines from booting\n", self.Seeder(), dir)
	fmt.Fprintf(w, "  %s serve %s\tserves the room (as root: it needs the ports of DHCP and TFTP)\n", self.Seeder(), dir)
	return w.Flush()
}

// load reads a site and prints its problems and warnings. It fails only where the site as a whole can't be served.
func load(dir string, term terminal) (*site.Site, error) {
	s, problems := site.Load(dir)
	if s == nil {
		fmt.Fprintf(term.Err, "%v\n%s: %s\n", problems, dir, text.Count(len(problems), "problem"))
		return nil, cli.ErrReported
	}
	for _, p := range s.AllProblems() {
		fmt.Fprintln(term.Err, p.Error())
	}
	for _, w := range s.Warnings {
		fmt.Fprintln(term.Err, "warning:", w.Error())
	}
	for _, name := range s.Unfinished {
		fmt.Fprintf(term.Err, "%s is unfinished: it has no %s yet\n", filepath.Join(dir, site.SystemsDir, name), site.SystemFile)
	}
	return s, nil
}

type serveCmd struct {
	Dir   string `arg:"" help:"The site directory, or a mirror's."`
	Debug string `hidden:"" help:"A file to make a unix socket of, which tells what the process takes."`
}

// Run serves a site until it is interrupted.
func (c serveCmd) Run(ctx context.Context, term terminal) error {
	dir, err := filepath.Abs(c.Dir) // log, page and API are read elsewhere
	if err != nil {
		return err
	}
	if site.IsMirror(dir) {
		return serveMirror(ctx, term, dir)
	}
	s, err := load(dir, term)
	if err != nil {
		return err
	}
	log, err := logger(s.Log, term.Err)
	if err != nil {
		return err
	}
	switch made, err := site.EnsureKeys(s); {
	case err != nil:
		return err
	case made:
		printKeysMade(term.Out)
	}
	if _, err := s.SecretKey(); err != nil {
		return err // now, not when all systems are hashed
	}
	if c.Debug != "" {
		if err := serveDebug(ctx, c.Debug); err != nil {
			return err
		}
	}
	bar, manager := newHashing(term.Err), supervised{log}
	defer context.AfterFunc(ctx, manager.stopping)()
	err = daemon.Run(ctx, daemon.Options{
		Site: s, Log: log, Progress: bar.progress,
		Ready: func(sum daemon.Summary) {
			bar.finish()
			summary(term.Out, s, sum)
			manager.serving(ctx, dir, fmt.Sprintf("serves the site %q: %s", s.Name, text.Count(len(sum.Catalog.Systems), "system")))
		},
	})
	bar.finish()
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// Serve is the command serve.
func Serve(ctx context.Context, term cli.Terminal, dir string) error {
	return serveCmd{Dir: dir}.Run(ctx, term)
}

// logger makes the log the site asks for. Under systemd, text goes to the journal with a field for each attribute.
func logger(l site.Log, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	text := slog.NewTextHandler(w, o)
	if w == os.Stderr && journal.Connected() {
		return slog.New(journal.New(level, text)), nil
	}
	return slog.New(text), nil
}

// summary prints where the seeder listens and what it offers.
func summary(w io.Writer, s *site.Site, sum daemon.Summary) {
	fmt.Fprintf(w, "The site %q is served on\n", s.Name)
	for n, i := range sum.Interfaces {
		fmt.Fprintf(w, "  %-10s %-18s %s  DHCP: %s  TFTP: %s  BitTorrent: %d\n",
			i.Name, i.Addr, sum.Base[n], dhcpMode(s, sum), tftpPort(s, sum), s.Ports.Torrent)
	}
	for _, line := range sum.UEFI {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintf(w, "and offers %s\n", text.Count(len(sum.Catalog.Systems), "system"))
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	for _, sys := range sum.Catalog.Systems {
		mark := ""
		if sys.Name == sum.Catalog.Defaults.System {
			mark = "default"
		}
		fmt.Fprintf(t, "  %s\t%s\t%.1f MiB\t%s\t%s\n", sys.Name, sys.Title, float64(sys.Size)/(1<<20), sys.Launch.Method, mark)
	}
	for _, r := range sum.Catalog.Runtimes {
		fmt.Fprintf(t, "  %s\t%s\t%.1f MiB\t%s\t\n", r.Name, r.Title, float64(r.Size)/(1<<20), r.Kind())
	}
	t.Flush()
	fmt.Fprintf(w, "The catalog's counter is %d.\n", sum.Catalog.Counter)
}

// notServed stands where the port of a service could not be had; the log says why.
const notServed = "none, see the log"

func dhcpMode(s *site.Site, sum daemon.Summary) string {
	if sum.NoDHCP {
		return notServed
	}
	return string(s.DHCP.Mode)
}

func tftpPort(s *site.Site, sum daemon.Summary) string {
	switch {
	case s.Ports.TFTP == 0:
		return "off"
	case sum.NoTFTP:
		return notServed
	}
	return strconv.Itoa(int(s.Ports.TFTP))
}
