package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
)

func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

// leaveOut takes the systems out of the catalog that the site does without, and returns a MissingError if the files of others are not here.
func (p *promotion) leaveOut(ctx context.Context) error {
	for _, name := range p.Without {
		if _, ok := p.cat.System(name); !ok {
			return fmt.Errorf("--without %s: the catalog has no such system", name)
		}
	}
	without := func(name string) bool { return slices.Contains(p.Without, name) }
	p.cat.Systems = slices.DeleteFunc(slices.Clone(p.cat.Systems), func(s catalog.System) bool { return without(s.Name) })
	if without(p.cat.Defaults.System) {
		p.note("the default system was %s, which is left out: machines wait for a person", p.cat.Defaults.System)
		p.cat.Defaults.System = ""
	}
	missing := map[string]error{}
	for i := range p.cat.Systems {
		s := &p.cat.Systems[i]
		if p.Progress != nil {
			p.Progress(s.Name)
		}
		if without(s.Launch.After) {
			s.Launch.After = catalog.AfterMenu
		}
		if err := p.check(ctx, *s); err != nil {
			missing[s.Name] = err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(missing) > 0 {
		return &MissingError{missing}
	}
	return nil
}

var errNotHere = errors.New("not here")

// check returns an error unless all files of a system are here and right.
func (p *promotion) check(ctx context.Context, s catalog.System) error {
	v := p.kept.Versions[s.InfoHash]
	if v == nil {
		return errNotHere
	}
	err := v.Check(ctx)
	if boot, ok := p.bootPart(s); ok && err == nil {
		if boot == nil {
			return errNotHere
		}
		err = boot.Check(ctx)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errNotHere
	}
	return err
}

// compare reads the site that was made, as the seeder will, and returns an error unless it says what the catalog says.
func (p *promotion) compare() error {
	s, problems := site.Load(p.stage)
	if s == nil {
		return fmt.Errorf("the site would have problems, and was not made:\n%w", problems)
	}
	for _, b := range s.Broken {
		return fmt.Errorf("the system %s would have problems, and the site was not made; go on without it: --without %s\n%w", b.Name, b.Name, b.Problems)
	}
	rules, made := p.cat.Rules, s.Rules()
	rules.Next = nil
	for what, pair := range map[string][2]any{
		"the site's name": {s.Name, p.cat.Site}, "its defaults": {s.Defaults, p.cat.Defaults}, "the limits of nodes": {s.Limits.Node, p.cat.Limits},
		"local": {s.Local, p.cat.Local}, "groups and machines": {made, rules}, "the files for machines": {s.Listed(), p.cat.Files},
	} {
		if !same(pair[0], pair[1]) {
			return fmt.Errorf("%s would not be as in the catalog, and the site was not made: %s instead of %s", what, shown(pair[0]), shown(pair[1]))
		}
	}
	for _, want := range p.cat.Systems {
		if err := p.compareSystem(s, want); err != nil {
			return fmt.Errorf("the system %s would not be as in the catalog, and the site was not made; go on without it: --without %s: %w", want.Name, want.Name, err)
		}
	}
	return nil
}

func (p *promotion) compareSystem(s *site.Site, want catalog.System) error {
	i := slices.IndexFunc(s.Systems, func(sys site.System) bool { return sys.Name == want.Name })
	if i < 0 {
		return errors.New("it is not read")
	}
	sys := s.Systems[i]
	launch := sys.Launch
	if r := want.Launch.Root; r != nil && r.Boot != nil {
		launch = launch.WithKernel(r.Boot.KernelSHA256)
	}
	if q := want.Launch.QEMU; q != nil && launch.QEMU != nil && q.Runtime != launch.QEMU.Runtime {
		return fmt.Errorf("it wants the runtime %s", q.Runtime)
	}
	var files []string
	for _, f := range p.kept.Versions[want.InfoHash].Files {
		files = append(files, f.Path)
	}
	got := []any{sys.Title, sys.Description, sys.Hidden, sys.Arch, launch, sys.Files}
	if wanted := []any{want.Title, want.Description, want.Hidden, want.Arch, want.Launch, files}; !same(got, wanted) {
		return fmt.Errorf("it has %s instead of %s", shown(got), shown(wanted))
	}
	return nil
}

func same(a, b any) bool { return shown(a) == shown(b) }

// shown is a value as the catalog has it. Nothing and an empty list are the same there.
func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	if s := string(b); s != "null" {
		return s
	}
	return "[]"
}

// disks puts the drivers of disks into the folder of images, which a mirror has as a runtime.
func (p *promotion) disks() error {
	for _, a := range arch.All {
		r, ok := p.cat.Runtime(diskmodules.For(a))
		if !ok || p.kept.Versions[r.InfoHash] == nil {
			continue
		}
		to := filepath.Join(p.dir, site.ImageDir, filepath.FromSlash(image.Folder(a)), diskmodules.Archive)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Link(p.kept.Versions[r.InfoHash].File(diskmodules.Archive), to); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("put the drivers of disks into the image: %w", err)
		}
	}
	return nil
}

// tell notes what can't be known of the site before.
func (p *promotion) tell() {
	p.note("the catalog names the addresses of this machine from now on")
	for _, r := range p.cat.Runtimes {
		switch {
		case qemuruntime.Is(r.Name):
			p.note("QEMU for nodes (%s) is packed from what is installed on this machine; the package is qemu-system-x86 (for arm64: qemu-system-arm)", r.Name)
		case diskmodules.Is(r.Name) && p.kept.Versions[r.InfoHash] == nil:
			p.note("the drivers of disks (%s) are not here; run mkimage for the site", r.Name)
		}
	}
	if s := p.kept.Manifest.Start; s != nil && s.Original {
		p.note("the site was one of the original BootTorrent, and has %s now; a DHCP server that names pxelinux.0 has to name another boot loader", site.ConfigFile)
	}
	for _, m := range p.cat.Rules.Machines {
		if m.MAC != "" {
			p.note("addresses of machines for DHCP, and notes on machines, are in no catalog: write them into %s again if there were any", site.ConfigFile)
			break
		}
	}
	p.note("in no catalog either: publish: manual, from:, sign_image, who may log in to nodes by ssh (node.ssh_keys, which is in the image), and %s", path.Join(site.KeysDir, site.DBKey))
	if len(p.Without) > 0 {
		p.note("left out: %s", strings.Join(p.Without, ", "))
	}
}
