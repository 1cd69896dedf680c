package mirror

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// follow runs a carrier until the test ends.
func (c *carrier) follow(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
}

// What can't fit makes nothing leave: neither within disk:, nor on the disk.
func TestNothingLeavesInVain(t *testing.T) {
	for what, limit := range map[string]struct{ disk, free int64 }{
		"disk:":              {150 << 10, 1 << 40},
		"disk: with another": {250 << 10, 1 << 40}, // which stays, for a machine fetches it
		"the disk":           {0, 10 << 10},
	} {
		c, e, _ := newCarrier(t)
		c.disk, c.free = limit.disk, func(string) (int64, error) { return limit.free, nil }
		one, busy, big := c.here(t, "one", 50<<10), c.here(t, "busy", 70<<10), c.version(t, "bigger", 200<<10)
		c.busy = func(h catalog.InfoHash) bool { return h == busy.System.InfoHash }
		c.set([]*Version{one, busy, big})
		c.want(big.System.InfoHash)
		if v, _ := c.next(t.Context()); v != nil {
			t.Errorf("%s: %s is fetched", what, v.System.Name)
		}
		if !one.Whole() || !one.sealed() || len(e.removed) > 0 {
			t.Errorf("%s: %v left in vain", what, e.removed)
		}
		if s := c.states()[2]; s.Trouble == "" || s.Fetching {
			t.Errorf("%s: it stands so: %+v", what, s)
		}
	}
}

// As many leave as have to, and no more.
func TestAsManyLeaveAsHaveTo(t *testing.T) {
	c, _, _ := newCarrier(t)
	c.disk = 300 << 10
	a, b, d := c.here(t, "a", 100<<10), c.here(t, "bb", 100<<10), c.here(t, "ddd", 100<<10)
	big := c.version(t, "bigger", 200<<10)
	c.set([]*Version{a, b, d, big})
	c.uses.use(a.System.InfoHash)
	c.want(big.System.InfoHash)
	c.mu.Lock()
	err := c.makeRoom(c.byHash[big.System.InfoHash])
	c.mu.Unlock()
	if err != nil || !a.Whole() || b.arrived() || d.arrived() || b.Whole() {
		t.Errorf("%v; a stays: %v", err, a.Whole())
	}
}

// While a version is about to be fetched nobody else begins it; and while the engine lets go of files, who asks need not wait.
func TestBegunOnce(t *testing.T) {
	c, e, _ := newCarrier(t)
	c.disk = 100 << 10
	old, v := c.here(t, "old", 80<<10), c.version(t, "next", 80<<10)
	removing, goOn := make(chan bool), make(chan bool)
	e.remove = func(catalog.InfoHash) { removing <- true; <-goOn }
	c.set([]*Version{old, v})
	c.want(v.System.InfoHash)
	c.follow(t)
	<-removing // for the room of next
	obtained := make(chan error)
	go func() { obtained <- c.obtain(t.Context(), v) }()
	c.want(old.System.InfoHash)
	if s := c.states(); s[0].Whole {
		t.Errorf("what leaves is whole: %+v", s)
	}
	close(goOn)
	must(t, <-obtained)
	if n := e.count(v.System.InfoHash); n != 1 || !v.Whole() {
		t.Errorf("it was fetched %d times", n)
	}
}

// What a catalog is about to list is not given up, however long it takes, and also if an old catalog had it.
func TestObtainTakesItsTime(t *testing.T) {
	for _, before := range []bool{false, true} {
		c, e, ahead := newCarrier(t)
		v := c.version(t, "slow", 10<<10)
		if before {
			c.set([]*Version{v})
			c.set(nil)
			ahead.Add(int64(2 * leaveTime))
		}
		begun, goOn := make(chan bool), make(chan bool)
		e.fetch = func(ctx context.Context, src swarm.Source, progress func(swarm.Stats)) error {
			close(begun)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-goOn:
				return write(ctx, src, progress)
			}
		}
		obtained := make(chan error)
		go func() { obtained <- c.obtain(t.Context(), v) }()
		<-begun
		for range 3 {
			ahead.Add(int64(leaveTime))
			c.leave()
		}
		close(goOn)
		if err := <-obtained; err != nil {
			t.Errorf("listed before: %v: %v", before, err)
		}
		c.leave()
		if !slices.Contains(c.known(), v.System.InfoHash) {
			t.Error("it left before the catalog could list it")
		}
		ahead.Add(int64(leaveTime))
		c.leave()
		if len(c.known()) > 0 || v.arrived() {
			t.Error("it stays, though no catalog lists it")
		}
	}
}

// What is listed again while it is being deleted is fetched again, and has its documents.
func TestListedAgainWhileItLeaves(t *testing.T) {
	c, e, ahead := newCarrier(t)
	v := c.here(t, "again", 10<<10)
	c.set([]*Version{v})
	c.set(nil)
	ahead.Add(int64(leaveTime))
	e.remove = func(catalog.InfoHash) { c.set([]*Version{v}) }
	c.leave()
	e.remove = nil
	if _, err := os.Stat(v.Dir + "/" + metaFile); err != nil || v.Whole() || len(c.known()) != 1 {
		t.Errorf("%v, whole: %v, known: %v", err, v.Whole(), c.known())
	}
	c.want(v.System.InfoHash)
	c.follow(t)
	await(t, "it is here", v.Whole)
}

// The folder of a version that the catalog lists stays where only its documents are damaged.
func TestSweepKeepsWhatIsListed(t *testing.T) {
	c, _, _ := newCarrier(t)
	listed, old := c.here(t, "listed", 10<<10), c.here(t, "old", 10<<10)
	must(t, os.WriteFile(listed.Dir+"/"+metaFile, []byte("{"), 0o644))
	must(t, c.sweep([]catalog.System{listed.System}))
	if _, err := os.Stat(old.Dir); !os.IsNotExist(err) || !listed.sealed() {
		t.Errorf("listed stays: %v; old: %v", listed.sealed(), err)
	}
}

// reseal leaves a version whole, and what was changed meanwhile is found.
func TestReseal(t *testing.T) {
	c, e, _ := newCarrier(t)
	v := c.here(t, "one", 10<<10)
	c.set([]*Version{v})
	later := time.Now().Add(time.Hour)
	must(t, os.Chtimes(v.file("kernel"), later, later))
	c.check(t.Context(), false)
	if !v.Whole() || !v.sealed() || len(e.removed) != 1 {
		t.Errorf("whole: %v, sealed: %v", v.Whole(), v.sealed())
	}
	must(t, os.WriteFile(v.file("kernel"), []byte("x"), 0o644))
	c.check(t.Context(), false)
	if s := c.states()[0]; v.Whole() || s.Whole || !c.byHash[v.System.InfoHash].wanted {
		t.Errorf("a damaged one: %+v", s)
	}
}
