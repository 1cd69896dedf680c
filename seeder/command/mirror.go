package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/seederurl"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

type mirrorCmd struct {
	Seeder string `arg:"" help:"The seeder to follow: ADDRESS, ADDRESS:PORT or a URL."`
	Dir    string `arg:"" help:"The mirror's directory; it may exist."`
	Key    string `type:"existingfile" help:"The site's public key, boottorrent.pub. It is needed once."`
}

// Run serves what another seeder has signed until it is interrupted. Where the directory is a mirror's already, its own configuration counts.
func (c mirrorCmd) Run(ctx context.Context, term terminal) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	made := !site.IsMirror(dir)
	if err := c.prepare(dir); err != nil {
		return err
	}
	if made {
		fmt.Fprintf(term.Out, "The mirror is in %s:\n  %-18s what is local of it: whom it follows, where it serves, what it carries\n  %-18s the site's public key: nothing else is believed\n",
			c.Dir, site.MirrorFile, site.PublicKeyFile)
	}
	return serveMirror(ctx, term, dir)
}

// loadMirror reads a mirror's directory, and prints what is wrong with it.
func loadMirror(dir string, term terminal) (*site.Mirror, error) {
	m, problems := site.LoadMirror(dir)
	if m == nil {
		fmt.Fprintf(term.Err, "%v\n%s: %s\n", problems, dir, text.Count(len(problems), "problem"))
		return nil, cli.ErrReported
	}
	for _, w := range m.Warnings {
		fmt.Fprintln(term.Err, "warning:", w.Error())
	}
	return m, nil
}

// serveMirror serves a mirror's directory until it is interrupted.
func serveMirror(ctx context.Context, term terminal, dir string) error {
	m, err := loadMirror(dir, term)
	if err != nil {
		return err
	}
	key, err := m.PublicKey()
	if err != nil {
		return err
	}
	log, err := logger(m.Log, term.Err)
	if err != nil {
		return err
	}
	manager := supervised{log}
	defer context.AfterFunc(ctx, manager.stopping)()
	follows := strings.Join(m.Upstream, ", ")
	err = daemon.Run(ctx, daemon.Options{
		Site: m.Site, Log: log, Mirror: &daemon.Mirror{Upstream: m.Upstream, Key: key, Carry: m.Carries, Disk: m.Disk},
		Listening: func() {
			fmt.Fprintf(term.Out, "It follows %s, and serves what the key %016X has signed.\n", follows, key.ID())
			manager.serving(ctx, dir, "waits for "+follows)
		},
		Ready: func(sum daemon.Summary) {
			s := *m.Site
			s.Name = sum.Catalog.Site
			summary(term.Out, &s, sum)
			manager.tell(fmt.Sprintf("STATUS=mirrors the site %q: %s", s.Name, text.Count(len(sum.Catalog.Systems), "system")))
		},
	})
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// prepare makes the mirror's directory if it is none yet.
func (c mirrorCmd) prepare(dir string) error {
	base, err := seederurl.Base(c.Seeder)
	if err != nil {
		return err
	}
	var key minisign.PublicKey
	there := &site.Site{Dir: dir}
	if c.Key != "" {
		key, err = upstream.ReadKey(c.Key)
	} else if key, err = there.PublicKey(); errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s has no %s yet: give the site's public key once, with --key FILE", dir, site.PublicKeyFile)
	}
	if err != nil {
		return err
	}
	return site.InitMirror(dir, base, key)
}
