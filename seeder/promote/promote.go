// Package promote makes a mirror the site's first seeder: in goes the mirror's folder and the site's secret key, out comes a site directory in the
// same place, whose catalog says what the one before said. Its counter goes on, so nodes and other mirrors take it.
package promote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/mirror"
	"github.com/boottorrent/boottorrent/seeder/next"
)

// Options say what is promoted.
type Options struct {
	// Dir is the mirror's folder, Key the file of the site's secret key.
	Dir, Key string
	// State is the folder, below site.StateDir, of what a mirror keeps.
	State string
	// Without are systems that the site does without, as their files are not here.
	Without []string
	Log     *slog.Logger
	// Progress is told of each system whose files are read; may be nil.
	Progress func(system string)
}

// Result is what there is to say of a site that was made.
type Result struct {
	Site    string
	Systems int
	// Counter is what the next catalog's is above.
	Counter uint64
	// Notes are what the site doesn't have of the one before, or can't know.
	Notes []string
}

// Names in the mirror's folder.
const (
	// stage is where the site is made before it is moved into place.
	stage = ".promote"
	// formerMirror is what mirror.yaml is called afterwards.
	formerMirror = site.MirrorFile + ".before"
)

// MissingError names the systems whose files are not here, each with the reason.
type MissingError struct{ Systems map[string]error }

// Error implements error.
func (e *MissingError) Error() string {
	var lines []string
	for name, why := range e.Systems {
		lines = append(lines, fmt.Sprintf("  %s: %v", name, why))
	}
	slices.Sort(lines)
	return fmt.Sprintf("the files of these systems are not here, or not right:\n%s\nLet the mirror fetch them (systems: and disk: in %s say which it keeps), or go on without them: --without NAME",
		strings.Join(lines, "\n"), site.MirrorFile)
}

// Run makes a site of a mirror. On an error the mirror is as it was.
func Run(ctx context.Context, o Options) (r Result, err error) {
	m, problems := site.LoadMirror(o.Dir)
	if site.IsSite(o.Dir) {
		return r, fmt.Errorf("%s is a site already; nothing was changed", o.Dir)
	}
	if len(problems) > 0 {
		return r, problems
	}
	secret, err := m.CheckSecretKey(o.Key)
	if err != nil {
		return r, err
	}
	public, err := m.PublicKey()
	if err != nil {
		return r, err
	}
	kept, err := mirror.OpenKept(filepath.Join(m.Dir, site.StateDir, o.State), public, o.Log)
	if err != nil {
		return r, fmt.Errorf("%s: %w", o.Dir, err)
	}
	defer kept.Close()
	p := &promotion{Options: o, dir: m.Dir, stage: filepath.Join(m.Dir, stage), kept: kept, cat: *kept.Catalog}
	if err := p.make(ctx, secret); err != nil {
		return r, errors.Join(err, os.RemoveAll(p.stage))
	}
	return Result{Site: p.cat.Site, Systems: len(p.cat.Systems), Counter: kept.Counter, Notes: p.notes}, p.move()
}

// promotion is one at work.
type promotion struct {
	Options
	dir, stage string
	kept       *mirror.Kept
	// cat is what the site is made of.
	cat   catalog.Catalog
	notes []string
}

func (p *promotion) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// make makes the site beside the mirror's files, and compares it with the catalog.
func (p *promotion) make(ctx context.Context, secret []byte) error {
	if err := p.checkPlace(); err != nil {
		return err
	}
	if err := p.leaveOut(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(p.stage); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(p.stage, site.SystemsDir), 0o755); err != nil {
		return err
	}
	mirrored, err := os.ReadFile(filepath.Join(p.dir, site.MirrorFile))
	if err != nil {
		return err
	}
	pub, err := os.ReadFile(filepath.Join(p.dir, site.PublicKeyFile))
	if err != nil {
		return err
	}
	text, err := config(&p.cat, p.kept.Manifest, mirrored)
	if err != nil {
		return err
	}
	err = errors.Join(
		atomicfile.Write(filepath.Join(p.stage, site.ConfigFile), text, 0o644),
		atomicfile.Write(filepath.Join(p.stage, site.PublicKeyFile), pub, 0o644),
		atomicfile.Write(filepath.Join(p.stage, site.SecretKeyFile), secret, 0o600),
	)
	if err != nil {
		return err
	}
	for _, s := range p.cat.Systems {
		if err := p.system(s); err != nil {
			return fmt.Errorf("make the folder of %s: %w", s.Name, err)
		}
	}
	if err := p.likeFolder(); err != nil {
		return err
	}
	for _, f := range p.cat.Files {
		if err := p.files(f); err != nil {
			return err
		}
	}
	p.tell()
	return p.compare()
}

// checkPlace returns an error if something is in the way.
func (p *promotion) checkPlace() error {
	for _, name := range p.moved() {
		if _, err := os.Lstat(filepath.Join(p.dir, name)); err == nil {
			return fmt.Errorf("%s is there already; move it away, and say this again. Nothing was changed", filepath.Join(p.dir, name))
		}
	}
	return nil
}

// moved are the names of what is moved from the stage into place, in this order: with the last one the folder is a site.
func (p *promotion) moved() []string {
	names := []string{site.SystemsDir}
	if len(p.kept.Catalog.Files) > 0 {
		names = append(names, site.FilesDir)
	}
	return append(names, site.SecretKeyFile, site.ConfigFile)
}

// system makes the folder of a system. Its files are those of the mirror, by another name.
func (p *promotion) system(s catalog.System) error {
	dir := filepath.Join(p.stage, site.SystemsDir, s.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	versions := []*mirror.Version{p.kept.Versions[s.InfoHash]}
	if boot, ok := p.bootPart(s); ok {
		versions = append(versions, boot)
	}
	for _, v := range versions {
		for _, f := range v.Files {
			to := filepath.Join(dir, filepath.FromSlash(f.Path))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.Link(v.File(f.Path), to); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	text, err := system(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, site.SystemFile), text, 0o644)
}

// bootPart is the version that has a system's own kernel.
func (p *promotion) bootPart(s catalog.System) (*mirror.Version, bool) {
	if s.Launch.Root == nil || s.Launch.Root.Boot == nil {
		return nil, false
	}
	r, ok := p.cat.Runtime(s.Launch.Root.Boot.Part)
	if !ok {
		return nil, false
	}
	return p.kept.Versions[r.InfoHash], true
}

func (p *promotion) files(f catalog.Files) error {
	archive, ok := p.kept.MachineFiles[f.SHA256]
	if !ok {
		return fmt.Errorf("the files for %s are not here; let the mirror fetch them, and say this again", f.For)
	}
	return unpack(filepath.Join(p.stage, site.FilesDir, f.For), f, archive)
}

// move puts the site into place. Until the last of it is there, the folder is a mirror.
func (p *promotion) move() error {
	state := filepath.Join(p.dir, site.StateDir)
	err := errors.Join(counter.Raise(state, p.kept.Counter), p.disks())
	if said := p.cat.Rules.Next; err == nil && len(said) > 0 {
		err = next.Restore(state, said, time.Now())
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(p.stage))
	}
	for _, name := range p.moved() {
		from := filepath.Join(p.stage, name)
		if _, err := os.Lstat(from); err != nil {
			continue
		}
		if err := os.Rename(from, filepath.Join(p.dir, name)); err != nil {
			return err
		}
	}
	return errors.Join(
		os.Rename(filepath.Join(p.dir, site.MirrorFile), filepath.Join(p.dir, formerMirror)), atomicfile.SyncFolder(p.dir),
		os.RemoveAll(p.stage), os.RemoveAll(filepath.Join(state, p.State)),
	)
}

// likeFolder gives what was made to the owner of the mirror's folder, where root made it.
func (p *promotion) likeFolder() error {
	info, err := os.Stat(p.dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, gid := owner(info)
	return filepath.WalkDir(p.stage, func(at string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(at, uid, gid)
	})
}
