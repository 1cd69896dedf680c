package hardware

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/u-root/u-root/pkg/kmodule"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// loader loads the modules that devices ask for, each once.
type loader struct {
	tree    tree
	log     Log
	aliases kmod.Aliases
	soft    map[string]softdep
	// probe loads one module with its dependencies.
	probe func(name string) error

	mu sync.Mutex
	// seen are the modaliases dealt with, tried the modules.
	seen, tried map[string]bool
}

// softdep are modules to load before and after another one, though it does not need their symbols.
type softdep struct{ pre, post []string }

// newLoader reads the image's module lists; the error wraps fs.ErrNotExist when the image has no modules.
func newLoader(t tree, release string, log Log, probe func(string) error) (*loader, error) {
	dir := t.path("lib/modules", release)
	f, err := os.Open(dir + "/modules.alias")
	if err != nil {
		return nil, fmt.Errorf("read which module drives which device: %w", err)
	}
	defer f.Close()
	l := &loader{tree: t, log: log, probe: probe, seen: map[string]bool{}, tried: map[string]bool{}}
	if l.aliases, err = kmod.ParseAliases(f); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	l.soft, err = readSoftdeps(dir + "/modules.softdep")
	if err != nil {
		log("hardware: %v; going on without", err)
	}
	return l, nil
}

// newProber returns kmodule's loader for the modules of a release.
func newProber(t tree, release string) (func(name string) error, error) {
	p, err := kmodule.NewProber(kmodule.ProbeOpts{RootDir: string(t), KVer: release})
	if err != nil {
		return nil, fmt.Errorf("read the image's modules: %w", err)
	}
	return func(name string) error {
		if err := p.Probe(name, ""); err != nil {
			return explain(name, err)
		}
		return nil
	}, nil
}

// explain says in words why a module did not load.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("load module %s: %w: it was built for another kernel; build the image again with mkimage", name, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EKEYREJECTED):
		return fmt.Errorf("load module %s: %w: with Secure Boot the kernel takes only modules signed by its distribution", name, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("load module %s: %w: a symbol or a module it needs is not in the image", name, err)
	}
	return fmt.Errorf("load module %s: %w", name, err)
}

// release returns the running kernel's version, the name of its folder of modules.
func release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// readSoftdeps parses modules.softdep: "softdep MODULE pre: A B post: C". A missing file is none.
func readSoftdeps(path string) (map[string]softdep, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read soft dependencies: %w", err)
	}
	defer f.Close()
	found := map[string]softdep{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "softdep" {
			continue
		}
		d := found[words[1]]
		list := &d.pre
		for _, w := range words[2:] {
			switch w {
			case "pre:":
				list = &d.pre
			case "post:":
				list = &d.post
			default:
				*list = append(*list, w)
			}
		}
		found[words[1]] = d
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read soft dependencies: %w", err)
	}
	return found, nil
}

// settle loads what the devices ask for until no device asks for anything new: a module loaded for a controller makes
// more devices appear. Others can be named, to be loaded along with the first.
func (l *loader) settle(others ...string) {
	for {
		names, fresh := l.wanted(l.modaliases())
		for _, name := range others {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		l.loadAll(names)
		if !fresh {
			return
		}
		others = nil
	}
}

// modaliases reads what all devices in sysfs say of themselves.
func (l *loader) modaliases() []string {
	var found []string
	for _, path := range l.tree.glob("sys/bus/*/devices/*/modalias") {
		if m := l.tree.line(path); m != "" {
			found = append(found, m)
		}
	}
	return found
}

// wanted returns the modules not tried yet that the modaliases not seen yet ask for, and whether there were any of
// those.
func (l *loader) wanted(modaliases []string) (names []string, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range modaliases {
		if l.seen[m] {
			continue
		}
		l.seen[m], fresh = true, true
		for _, name := range l.aliases.Modules(m) {
			if !l.tried[name] {
				l.tried[name] = true
				names = append(names, name)
			}
		}
	}
	return names, fresh
}

// loadAll loads modules with their soft dependencies; one that fails is logged and keeps nobody from loading.
func (l *loader) loadAll(names []string) {
	var g errgroup.Group
	// Loading is half waiting for hardware; more than this many at once only cost memory.
	g.SetLimit(4 * runtime.NumCPU())
	for _, name := range names {
		g.Go(func() error {
			l.loadOne(name)
			return nil
		})
	}
	g.Wait()
}

func (l *loader) loadOne(name string) {
	d := l.soft[name]
	for _, pre := range d.pre {
		// Often absent on purpose: a faster variant of what the kernel has built in.
		if err := l.probe(pre); err != nil {
			l.log("hardware: %v (wanted, not needed, by %s)", err, name)
		}
	}
	if err := l.probe(name); err != nil {
		l.log("hardware: %v", err)
		return
	}
	for _, post := range d.post {
		if err := l.probe(post); err != nil {
			l.log("hardware: %v (wanted, not needed, by %s)", err, name)
		}
	}
}
