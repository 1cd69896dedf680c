package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/origin"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

type pushCmd struct {
	Dir    string `arg:"" help:"The site directory."`
	Name   string `arg:"" help:"The system, by the name of its folder in oss/."`
	Target string `arg:"" help:"Where to: s3://BUCKET/PREFIX[?endpoint=https://HOST&region=NAME] or oci://REGISTRY/NAME[:TAG]."`
}

// Help says what it does, and where credentials come from.
func (pushCmd) Help() string {
	return "Puts a system as nodes get it, with its config.yaml, into a bucket or a registry, and prints what to write into from: of a config.yaml to have it back. " +
		"Files that are there already are not sent again, so a bucket or a registry can be the archive of all versions. " + archives()
}

// Run puts a system somewhere.
func (c pushCmd) Run(ctx context.Context, term terminal) error {
	target, err := archive(c.Target)
	if err != nil {
		return cli.UsageError{Err: err}
	}
	s, err := load(c.Dir, term)
	if err != nil {
		return err
	}
	sys, err := c.system(s)
	if err != nil {
		return err
	}
	folders, done, err := c.version(ctx, s, sys, term)
	if err != nil {
		return err
	}
	defer done()
	files, remove, err := filesOf(sys, folders)
	if err != nil {
		return err
	}
	defer remove()
	pushed, err := origin.New(nil).Push(ctx, target, files, func(f catalog.File, there bool) {
		what := "sent"
		if there {
			what = "is there already"
		}
		fmt.Fprintf(term.Err, "%s %s, %s\n", f.Path, what, text.Size(f.Size))
	})
	if err != nil {
		return err
	}
	if pushed.Replaced != "" {
		fmt.Fprintf(term.Err, "the tag %s was that of sha256:%s before, which stays there under its digest\n", target.Tag, pushed.Replaced)
	}
	fmt.Fprintf(term.Err, "%s: %s sent (%s), %d there already. This line is all that a config.yaml needs to have %[1]s back:\n",
		c.Name, text.Count(pushed.Sent, "file"), text.Size(pushed.Bytes), pushed.There)
	_, err = fmt.Fprintf(term.Out, "from: %s\n", pushed.From)
	return err
}

// system is the one that is to be pushed.
func (c pushCmd) system(s *site.Site) (site.System, error) {
	if i := slices.IndexFunc(s.Systems, func(sys site.System) bool { return sys.Name == c.Name }); i >= 0 && !s.Original {
		return s.Systems[i], nil
	}
	switch {
	case s.Original:
		return site.System{}, fmt.Errorf("a config.yaml of a site of the original can't be read elsewhere; make it version 1 first: %s migrate %s", self.Seeder(), cli.Quote(c.Dir))
	case slices.ContainsFunc(s.Absent, func(sys site.System) bool { return sys.Name == c.Name }):
		return site.System{}, fmt.Errorf("files of %s are still to be fetched; push it when the seeder has published it", c.Name)
	case slices.ContainsFunc(s.Broken, func(b site.Broken) bool { return b.Name == c.Name }):
		return site.System{}, fmt.Errorf("%s has the problems above; mend them first", c.Name)
	}
	return site.System{}, fmt.Errorf("the site has no system %s; give the name of its folder in oss/", c.Name)
}

// version finds the folders in which the files of the published version are, by the names of its parts. Where no seeder runs, the system is
// stored now as a seeder would.
func (c pushCmd) version(ctx context.Context, s *site.Site, sys site.System, term terminal) (folders map[string]string, done func(), err error) {
	dir := filepath.Join(s.Dir, site.StateDir, "store")
	now, err := daemon.Control{Dir: s.Dir}.Status(ctx)
	if errors.Is(err, daemon.ErrNotRunning) {
		return c.stored(ctx, dir, sys, term)
	}
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(now.Systems, func(one status.System) bool { return one.Name == c.Name })
	if i < 0 || now.Systems[i].State != status.Published || now.Systems[i].InfoHash == nil {
		says := "it has no such system"
		if i >= 0 {
			says = describe(now.Systems[i])
		}
		return nil, nil, fmt.Errorf("nodes don't get %s as it is in its folder (the running seeder says: %s); push it when it is published", c.Name, says)
	}
	folders = map[string]string{sys.Name: filepath.Join(dir, now.Systems[i].InfoHash.String(), sys.Name)}
	if part, ok := sys.BootPart(); ok && now.Systems[i].Boot != nil {
		folders[part.Name] = filepath.Join(dir, now.Systems[i].Boot.String(), part.Name)
	}
	return folders, func() {}, nil
}

func (c pushCmd) stored(ctx context.Context, dir string, sys site.System, term terminal) (folders map[string]string, done func(), err error) {
	st, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	bar := newHashing(term.Err)
	v, err := st.Import(ctx, sys, bar.progress)
	bar.finish()
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	folders = map[string]string{}
	for _, part := range v.Parts() {
		folders[part.System.Name] = filepath.Join(part.Dir, part.System.Name)
	}
	return folders, func() { st.Close() }, nil
}

// filesOf are the files of a system, its config.yaml first, in the folders of its parts. remove removes what was made for that.
func filesOf(sys site.System, folders map[string]string) (files []origin.File, remove func(), err error) {
	config, err := sys.Config()
	if err != nil {
		return nil, nil, err
	}
	temp, err := os.MkdirTemp("", "boottorrent-push-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(temp) }
	file := filepath.Join(temp, site.SystemFile)
	if err := os.WriteFile(file, config, 0o600); err != nil {
		remove()
		return nil, nil, err
	}
	files = []origin.File{{Path: site.SystemFile, From: file}}
	parts := []site.System{sys}
	if part, ok := sys.BootPart(); ok {
		parts = append(parts, part)
	}
	for _, part := range parts {
		for _, name := range part.Files {
			files = append(files, origin.File{Path: name, From: filepath.Join(folders[part.Name], filepath.FromSlash(name))})
		}
	}
	return files, remove, nil
}
