package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// listing is what became of one folder of oss/, or of the runtime.
type listing struct {
	// last and version are what nodes get; version is nil if that is nothing.
	last    store.Last
	version *store.Version
	// remembered says that the store knows last to be published.
	remembered bool

	state    status.State
	since    time.Time
	problems []string
	// told is what was logged last of state and problems: that something is being stored once more is no news.
	told string
	// excluded is why the version can't be in the catalog; empty if it can.
	excluded string
	// retry is when to try again what failed for no fault of the folder's; zero: not before it changes.
	retry time.Time
}

// listings are what became of every folder, by name. Methods may be called from several goroutines, fields of a listing are changed by
// one alone.
type listings struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	byName   map[string]*listing
	problems []string
}

func newListings(log *slog.Logger, now func() time.Time) *listings {
	return &listings{log: log, now: now, byName: map[string]*listing{}}
}

// get returns the listing of a name, and makes one if there is none.
func (l *listings) get(name string) *listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byName[name] == nil {
		l.byName[name] = &listing{since: l.now()}
	}
	return l.byName[name]
}

// find returns the listing of a name; nil if there is none.
func (l *listings) find(name string) *listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byName[name]
}

func (l *listings) has(name string) bool { return l.find(name) != nil }

// systems are those that nodes get, perhaps from before.
func (l *listings) systems() (systems []catalog.System) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.byName {
		if s.version != nil {
			systems = append(systems, s.version.System)
		}
	}
	return systems
}

// names are those of all listings, sorted.
func (l *listings) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.byName))
}

func (l *listings) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byName, name)
}

// set notes the state of a system, and logs it if it is another one.
func (l *listings) set(name string, state status.State, problems ...string) {
	s := l.get(name)
	l.mu.Lock()
	news := fmt.Sprint(state, problems)
	same := state == status.Storing || s.told == news
	if !same {
		s.told = news
	}
	if s.state != state {
		s.since = l.now()
	}
	s.state, s.problems = state, problems
	l.mu.Unlock()
	if !same {
		l.tell(name, state, problems)
	}
}

// wrong notes that a system has problems: it is kept as it was before, or left out.
func (l *listings) wrong(name string, problems ...string) {
	state := status.LeftOut
	if l.get(name).version != nil {
		state = status.Kept
	}
	l.set(name, state, problems...)
}

func (l *listings) tell(name string, state status.State, problems []string) {
	switch state {
	case status.Kept:
		l.log.Warn("a system has a problem; nodes get its last version without one", "system", name)
	case status.LeftOut:
		l.log.Warn("a system has a problem, and is left out", "system", name)
	case status.Manual:
		l.log.Info("a system has changed, and waits for '"+self.Seeder()+" publish'", "system", name)
	case status.Unfinished:
		l.log.Info("a folder has no "+site.SystemFile+" yet", "system", name)
	case status.Fetching:
		l.log.Info("files of a system are being fetched", "system", name)
	case status.Writing:
		l.log.Info("a system is being written; it is published when that has ended", "system", name)
	}
	for _, p := range problems {
		l.log.Warn("problem of a system", "system", name, "problem", p)
	}
}

// siteProblems notes what is wrong with the site as a whole, and logs what is new of it.
func (l *listings) siteProblems(problems site.Problems, consequence string) {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	l.mu.Lock()
	before := l.problems
	l.problems = lines
	l.mu.Unlock()
	for _, line := range lines {
		if !slices.Contains(before, line) {
			l.log.Warn("the site has a problem; "+consequence, "problem", line)
		}
	}
}

// status is what became of everything. Of the systems that are not at rest, restless says since when.
func (l *listings) status(dir string, restless map[string]time.Time) status.Site {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := status.Site{Problems: slices.Clone(l.problems), Systems: []status.System{}}
	for name, s := range l.byName {
		sys := status.System{Name: name, State: s.state, Since: s.since, Problems: slices.Clone(s.problems)}
		if s.excluded != "" {
			sys.State, sys.Problems = status.LeftOut, append(sys.Problems, s.excluded)
		} else if s.version != nil {
			last := s.last // whoever reads the status does so while this changes
			sys.InfoHash = &last.InfoHash
			if s.version.Boot != nil {
				sys.Boot = &last.Boot
			}
		}
		out.Systems = append(out.Systems, sys)
	}
	for name, since := range restless {
		if strings.Contains(name, "/") {
			continue // files for machines
		}
		i := slices.IndexFunc(out.Systems, func(s status.System) bool { return s.Name == name })
		if i < 0 {
			if info, err := os.Stat(filepath.Join(dir, site.SystemsDir, name)); err != nil || !info.IsDir() {
				continue // it is going, or is no system's folder
			}
			i, out.Systems = len(out.Systems), append(out.Systems, status.System{Name: name})
		}
		out.Systems[i].State, out.Systems[i].Since = status.Writing, since
	}
	slices.SortFunc(out.Systems, func(a, b status.System) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// offered are the names of systems of which nodes get a version, in the order of the catalog.
func (l *listings) offered() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, s := range l.byName {
		if s.version != nil && !isRuntime(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(l.byName[a].version.System.Title, l.byName[b].version.System.Title), cmp.Compare(a, b))
	})
	return names
}
