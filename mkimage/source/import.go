package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/site"
)

// Result is what an import made.
type Result struct {
	// Kind is the short name of the source's kind.
	Kind string
	// Systems are those that are in oss/ now; their Dir is there.
	Systems []*System
}

// Import makes a system of a source, or several. On any failure nothing is left of it, and what was in oss/ is as it was.
func Import(ctx context.Context, o Options, kinds []Kind) (r *Result, err error) {
	src, err := Open(o.Source)
	if err != nil {
		return nil, err
	}
	t, err := parseTarget(o.Target)
	if err != nil {
		return nil, err
	}
	if err := t.check(src, o.Replace); err != nil {
		return nil, err
	}
	kind, err := recognise(ctx, src, kinds)
	if err != nil {
		return nil, err
	}
	st, err := newStaging(t.oss)
	if err != nil {
		return nil, err
	}
	j := &Job{Source: src, Options: o, Temp: filepath.Join(st.dir, tempDir), name: t.name, arches: o.arches(t.site), staging: st}
	defer func() {
		step := j.Step("remove what was needed meanwhile", 0)
		defer step.End()
		if e := st.remove(); e != nil && err == nil {
			o.Log.Warn("something is left of what was needed meanwhile; remove it", "folder", st.dir, "err", e)
		}
	}()
	if err := kind.Import(ctx, j); err != nil {
		return nil, j.explain(err)
	}
	if err := j.unused(kind); err != nil {
		return nil, err
	}
	if err := j.finish(ctx, t); err != nil {
		return nil, j.explain(err)
	}
	return &Result{short(kind), j.systems}, nil
}

// unused refuses options that had no effect.
func (j *Job) unused(kind Kind) error {
	has := func(which func(*System) bool) bool { return slices.ContainsFunc(j.systems, which) }
	switch {
	case len(j.Entries) > 0 && !has(func(s *System) bool { return s.Kexec != nil }):
		return fmt.Errorf("%s (%s) has no boot menu; leave --entry out", j.Text, short(kind))
	case j.Options.Kernel != "" && !has(func(s *System) bool { return s.Root != nil }):
		return fmt.Errorf("%s (%s) becomes no system of a root file system, which alone could have another kernel; leave --kernel out", j.Text, short(kind))
	case j.Init != "" && !has(func(s *System) bool { return s.Root != nil }):
		return fmt.Errorf("%s (%s) becomes no system of a root file system, of which --init would name a program; leave it out", j.Text, short(kind))
	}
	return nil
}

// explain says of what source an error is, and where there was no room.
func (j *Job) explain(err error) error {
	if !strings.Contains(err.Error(), j.Text) {
		err = fmt.Errorf("%s: %w", j.Text, err)
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	return fmt.Errorf("%w; make room on the file system of %s, nothing was left there", err, j.staging.oss)
}

// finish writes the configurations, checks everything, and moves it into place.
func (j *Job) finish(ctx context.Context, t target) error {
	if len(j.systems) == 0 {
		return errors.New("nothing came of it")
	}
	step := j.Step("check the system", 0)
	defer step.End()
	if err := j.titles(t); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(t.site, site.ConfigFile))
	original := errors.Is(err, fs.ErrNotExist)
	for _, s := range j.systems {
		if err := s.writeConfig(); err != nil {
			return err
		}
		if err := readable(s.Dir); err != nil {
			return err
		}
		if _, err := s.check(original); err != nil {
			return err
		}
	}
	if err := j.staging.sync(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return j.place()
}

// place moves all systems into oss/, or none.
func (j *Job) place() error {
	var undo []func() error
	for _, s := range j.systems {
		back, err := j.staging.place(s.Name, j.Replace)
		if err != nil {
			for _, u := range slices.Backward(undo) {
				err = errors.Join(err, u())
			}
			return err
		}
		undo = append(undo, back)
	}
	for _, s := range j.systems {
		s.Dir = filepath.Join(j.staging.oss, s.Name)
	}
	return nil
}

// titles gives every system a title that no other system of the site has.
func (j *Job) titles(t target) error {
	taken := map[string]bool{}
	if others, _ := site.Load(t.site); others != nil { // a site that can't be read has no titles; its own check says so
		for _, s := range others.Systems {
			if !slices.ContainsFunc(j.systems, func(own *System) bool { return own.Name == s.Name }) {
				taken[s.Title] = true
			}
		}
	}
	for _, s := range j.systems {
		switch {
		case j.Title != "" && len(j.systems) == 1:
			s.Title = j.Title
			if taken[s.Title] {
				return fmt.Errorf("another system is called %q already; give another --title", s.Title)
			}
		case j.Title != "":
			s.Title = j.Title + ": " + s.Title
		case s.Title == "":
			s.Title = s.Name
		}
		if taken[s.Title] {
			s.Title += " (" + s.Name + ")"
		}
		taken[s.Title] = true
	}
	return nil
}

// readable lets the seeder read what was made, which may run as another user, whatever the umask and the source's permissions are.
func readable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o755)
		case d.Type().IsRegular():
			return os.Chmod(path, 0o644)
		}
		return fmt.Errorf("%s is no regular file", path)
	})
}
