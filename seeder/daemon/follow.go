package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/watch"
)

// retryAfter is when to try again to store a system after a failure that its folder may not be to blame for, such as a full disk.
const retryAfter = time.Minute

// follower publishes the site, and does so again whenever something in it has changed and is at rest. One goroutine does it all but
// for the storing of systems, of which there is one at a time in another goroutine; so a large system delays no other change.
type follower struct {
	*publisher
	dir      string
	watcher  *watch.Watcher
	fetch    *fetcher
	progress store.Progress
	// retryAfter is when to try again; see the constant.
	retryAfter time.Duration
	// take is told of each site that was read and is published from now on, ready of the first catalog.
	take  func(*site.Site)
	ready func(*catalog.Catalog)

	site *site.Site
	// dirty says that something may have to be published; failed is why it could not be the last time.
	dirty  bool
	failed string
	// queue are what has to be stored, running is what is being stored, done says how it ended.
	queue   []*task
	running *task
	done    chan outcome
	// orders are those of `seeder publish`, waiting those that are not done yet.
	orders  chan *order
	waiting []*order
	// renewed says that what machines start the next time has changed.
	renewed chan struct{}
	// moves are changes of the seeder's addresses.
	moves chan move
}

// task is a system, or the runtime, that is to be stored.
type task struct {
	name   string
	store  func(context.Context) (store.Last, store.Version, error)
	cancel context.CancelFunc
}

// outcome is how a task ended.
type outcome struct {
	*task
	last    store.Last
	version store.Version
	err     error
}

// run publishes s, and then what becomes of it, until ctx ends.
func (f *follower) run(ctx context.Context, s *site.Site) error {
	if _, err := s.SecretKey(); err != nil {
		return err // before anything is hashed
	}
	f.recall()
	f.files.recall()
	if f.awaitRest(ctx) {
		f.reload()
	}
	if f.site == nil {
		f.consider(s)
	}
	tick := time.NewTicker(min(retireCheck, f.retryAfter))
	defer tick.Stop()
	for {
		f.next(ctx)
		f.fetch.begin(ctx)
		if err := f.release(); err != nil {
			return err
		}
		f.answer()
		select {
		case <-ctx.Done():
			return f.stop()
		case <-f.watcher.Changed():
			f.reload()
		case o := <-f.done:
			f.finish(o)
		case j := <-f.fetch.ended:
			f.fetched(j)
		case o := <-f.orders:
			f.obey(o)
		case <-f.renewed:
			f.dirty = true
		case m := <-f.moves:
			f.moveTo(m)
		case <-tick.C:
			f.dropIdle()
			f.fetch.drop(f.site)
			f.retry()
			f.counter.Retry()
		}
	}
}

// stop waits for what is being stored and fetched, which ends soon, so that the store can be closed.
func (f *follower) stop() error {
	f.fetch.wait()
	if f.running != nil {
		<-f.done
	}
	return nil
}

// recall lists what was published before the last restart: it can be given until the site has been read, and after that where a folder
// has problems.
func (f *follower) recall() {
	lasts, versions, err := f.store.Lasts()
	if err != nil {
		f.log.Warn("what was published before is not known", "err", err)
		return
	}
	for i, last := range lasts {
		l := f.listings.get(last.System.Name)
		l.last, l.version, l.remembered = last, &versions[i], true
	}
}

// awaitRest gives systems that were written just before the start the time to come to rest, so that the first catalog has them, and
// reports whether there were any.
func (f *follower) awaitRest(ctx context.Context) (waited bool) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ; f.watcher.Settling(); waited = true {
		select {
		case <-f.watcher.Changed():
		case <-again.C:
		case <-ctx.Done():
			return waited
		}
	}
	return waited
}

// reload reads the site. Where it can't be served as it is now, what was published before stays.
func (f *follower) reload() {
	s, problems := site.Load(f.dir)
	if s == nil {
		systems := filepath.Join(f.dir, site.SystemsDir) + string(filepath.Separator)
		problems = slices.DeleteFunc(problems, func(p site.Problem) bool { return strings.HasPrefix(p.File, systems) }) // they stop no site
		f.listings.siteProblems(problems, "what was offered before stays")
		return
	}
	f.consider(s)
}

// consider decides what is to be done about each folder of a site.
func (f *follower) consider(s *site.Site) {
	f.site, f.dirty = s, true
	f.take(s)
	restless := f.watcher.Restless()
	f.listings.siteProblems(append(slices.Clone(s.Problems), f.files.consider(s, restless)...), "it stops no system")
	f.queue = nil
	present := map[string]bool{}
	runtime := func(name string, store func(context.Context) (store.Last, store.Version, error)) {
		present[name] = true
		if f.listings.get(name).version == nil {
			f.listings.set(name, status.Storing)
		}
		f.enqueue(name, store)
	}
	for _, guest := range guests(s, f.listings.systems()) {
		runtime(qemuruntime.For(guest), func(ctx context.Context) (store.Last, store.Version, error) { return f.packRuntime(ctx, s, guest) })
	}
	for _, a := range diskArchives(s) {
		runtime(diskmodules.For(a), func(ctx context.Context) (store.Last, store.Version, error) { return f.storeDisks(ctx, s, a) })
	}
	for _, a := range phase1Images(s) {
		runtime(catalog.Phase1Name(a), func(ctx context.Context) (store.Last, store.Version, error) { return f.storePhase1(ctx, s, a) })
	}
	for _, b := range s.Broken {
		present[b.Name] = true
		if _, writing := restless[b.Name]; !writing {
			f.listings.wrong(b.Name, problemLines(b.Problems)...)
		}
	}
	for _, name := range s.Unfinished {
		present[name] = true
		f.unfinished(name)
	}
	for _, sys := range s.Systems {
		present[sys.Name] = true
		if _, writing := restless[sys.Name]; !writing {
			f.considerSystem(sys)
		}
	}
	f.fetch.only(s.Absent)
	for _, sys := range s.Absent {
		present[sys.Name] = true
		if _, writing := restless[sys.Name]; !writing {
			f.considerAbsent(sys)
		}
	}
	for _, name := range f.listings.names() {
		_, writing := restless[name]
		switch {
		case present[name], writing:
		case s.SystemsUnknown && !isRuntime(name):
			f.listings.wrong(name, site.SystemsDir+" can't be read")
		default:
			f.forget(name)
			f.log.Info("a system is gone", "system", name)
		}
	}
	f.favourDefault()
}

func problemLines(problems site.Problems) (lines []string) {
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	return lines
}

// unfinished lists a folder without a config.yaml. Who takes that away takes the system away.
func (f *follower) unfinished(name string) {
	if l := f.listings.get(name); l.version != nil {
		f.forget(name)
	}
	f.listings.set(name, status.Unfinished)
}

// considerSystem decides what is to be done about a system that is whole and at rest.
func (f *follower) considerSystem(sys site.System) {
	v, stored, err := f.store.Find(sys)
	switch {
	case err != nil:
		f.listings.wrong(sys.Name, err.Error())
	case sys.Manual && !f.ordered(sys.Name) && !(stored && f.isLast(sys, v)):
		f.listings.set(sys.Name, status.Manual)
	case stored:
		f.list(store.LastOf(sys, v), v)
	default:
		f.listings.set(sys.Name, status.Storing)
		f.enqueue(sys.Name, func(ctx context.Context) (store.Last, store.Version, error) {
			v, err := f.store.Import(ctx, sys, f.progress)
			return store.LastOf(sys, v), v, err
		})
	}
}

// isLast reports whether a system is what nodes get already.
func (f *follower) isLast(sys site.System, v store.Version) bool {
	l := f.listings.get(sys.Name)
	return l.version != nil && l.version.Same(v)
}

// list makes a version the one that nodes get.
func (f *follower) list(last store.Last, v store.Version) {
	name := last.System.Name
	l := f.listings.get(name)
	f.listings.mu.Lock()
	if l.version == nil || !l.version.Same(v) || l.last.Unpacked != last.Unpacked {
		l.remembered = false
	}
	l.last, l.version, l.excluded, l.retry = last, &v, "", time.Time{}
	f.listings.mu.Unlock()
	f.listings.set(name, status.Published)
}

func (f *follower) enqueue(name string, store func(context.Context) (store.Last, store.Version, error)) {
	f.queue = append(f.queue, &task{name: name, store: store})
}

// favourDefault puts what machines start by themselves to the front of the queue, what it needs before it, and phase 1 to the end: nodes have it.
func (f *follower) favourDefault() {
	rank := func(t *task) int {
		switch {
		case catalog.IsPhase1(t.name):
			return 3
		case isRuntime(t.name):
			return 0
		case t.name == f.site.Defaults.System:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(f.queue, func(a, b *task) int { return rank(a) - rank(b) })
	if t := f.running; t != nil && !slices.ContainsFunc(f.queue, func(q *task) bool { return q.name == t.name }) {
		t.cancel() // its system is gone, broken or being written by now
	}
}

// next begins to store what is first in the queue, unless something is being stored.
func (f *follower) next(ctx context.Context) {
	if f.running != nil || len(f.queue) == 0 || ctx.Err() != nil {
		return
	}
	t := f.queue[0]
	f.queue, f.running, f.storing = f.queue[1:], t, true
	taskCtx, cancel := context.WithCancel(ctx)
	t.cancel = cancel
	go func() {
		last, v, err := t.store(taskCtx)
		cancel()
		f.done <- outcome{t, last, v, err}
	}()
}

// finish lists what was stored, or what kept it from being stored.
func (f *follower) finish(o outcome) {
	f.running, f.storing, f.dirty = nil, false, true
	_, restless := f.watcher.Restless()[o.name]
	switch {
	case !f.listings.has(o.name) || errors.Is(o.err, context.Canceled):
		return
	case store.IsChanging(o.err):
		f.watcher.Touch(o.name)
	case restless && !f.ordered(o.name):
		// What was stored is not what was checked. It is told of again.
	case o.err != nil:
		f.listings.wrong(o.name, o.err.Error())
		f.listings.get(o.name).retry = f.now().Add(f.retryAfter)
	default:
		f.list(o.last, o.version)
	}
}

// retry tries again what failed for no fault of its folder's.
func (f *follower) retry() {
	for _, name := range f.listings.names() {
		if l := f.listings.get(name); !l.retry.IsZero() && !f.now().Before(l.retry) {
			l.retry = time.Time{}
			f.reload()
			return
		}
	}
}

// release publishes what is listed if it has changed. The first catalog waits for the system that machines start by themselves, and is not
// without any system while one is being stored: a machine that reads it would wait for a person.
func (f *follower) release() error {
	first := f.published == nil
	if !f.dirty || first && f.unready() {
		return nil
	}
	f.dirty = false
	changed, err := f.publish(f.site)
	if err != nil && first {
		return err
	}
	if err != nil && err.Error() != f.failed {
		f.log.Error("the changed site can't be published; what was offered before stays", "err", err)
	}
	if f.failed = ""; err != nil {
		f.failed = err.Error()
	}
	if changed {
		f.log.Info("catalog published", "systems", len(f.published.Systems), "default", f.published.Defaults.System, "counter", f.published.Counter)
	}
	if f.ready != nil && f.running == nil && len(f.queue) == 0 {
		f.prune()
		f.ready(f.published)
		f.ready = nil
	}
	return nil
}

// unready reports whether what the first catalog should have is still to be stored.
func (f *follower) unready() bool {
	tasks := f.queue
	if f.running != nil {
		tasks = append([]*task{f.running}, tasks...)
	}
	offered := f.listings.offered()
	if len(tasks) > 0 && len(offered) == 0 {
		return true
	}
	return slices.ContainsFunc(tasks, func(t *task) bool {
		return t.name == f.site.Defaults.System && !slices.Contains(offered, t.name) || qemuruntime.Is(t.name) && f.listings.get(t.name).version == nil
	})
}

// needRestart lists the keys of the configuration in which two sites differ and which are read only at the start.
func needRestart(running, changed *site.Site) (keys []string) {
	for _, k := range []struct {
		name     string
		old, new any
	}{
		{"serve", running.Serve, changed.Serve},
		{"dhcp", withoutReservations(running.DHCP), withoutReservations(changed.DHCP)},
		{"addresses in machines or dhcp.reservations", running.DHCP.Reservations, changed.DHCP.Reservations},
		{"ports", running.Ports, changed.Ports},
		{"racks", running.Racks, changed.Racks},
		{"log", running.Log, changed.Log},
		{"limits.seeder", running.Limits.Seeder, changed.Limits.Seeder},
	} {
		switch {
		case reflect.DeepEqual(k.old, k.new):
		case changed.Original:
			keys = append(keys, changed.Where(k.name))
		default:
			keys = append(keys, k.name)
		}
	}
	return keys
}

func withoutReservations(d site.DHCP) site.DHCP {
	d.Reservations = nil
	return d
}

// warnOfRestart says which changes of a site have no effect yet.
func (d *daemon) warnOfRestart(s *site.Site) {
	keys := needRestart(d.Site, s)
	if len(keys) > 0 && !slices.Equal(keys, d.restartKeys) {
		d.Log.Warn("a change in the site's configuration takes effect after a restart", "keys", strings.Join(keys, ", "))
	}
	d.restartKeys = keys
}
