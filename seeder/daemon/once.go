package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/next"
)

// onceFile is where a mirror keeps which machines have followed what was said for once, in its handOnDir.
const onceFile = "followed.json"

// once knows which machines have followed at a mirror what was said for once, as long as the signed catalog does not say so: the seeder that
// is followed may be away. There are at most next.MaxDone, as in that one's catalog.
type once struct {
	path string
	log  *slog.Logger
	// changed tells that something is to be written down.
	changed chan struct{}

	mu sync.Mutex
	// done are the machines by the IDs of catalog.Next, sorted, and count is how many there are.
	done  map[string][]string
	count int
	full  bool // and that was said
	// of is the catalog that with was made of; nil: another one is to be made.
	of, with *catalog.Catalog
}

// openOnce reads what was kept.
func openOnce(path string, log *slog.Logger) *once {
	o := &once{path: path, log: log, changed: make(chan struct{}, 1), done: map[string][]string{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o
	}
	var done map[string][]string
	if err == nil {
		err = json.Unmarshal(text, &done)
	}
	count := 0
	for _, macs := range done {
		slices.Sort(macs)
		if count += len(macs); slices.ContainsFunc(macs, func(mac string) bool { return !catalog.IsMAC(mac) }) {
			err = errors.Join(err, errors.New("it names what is no machine"))
		}
	}
	if count > next.MaxDone {
		err = fmt.Errorf("it has %d machines, and there is room for %d", count, next.MaxDone)
	}
	if err != nil {
		log.Warn("which machines have followed what was said for once is not known any more; they may follow it again", "file", path, "err", err)
		return o
	}
	if done != nil {
		o.done, o.count = done, count
	}
	return o
}

// note notes that a machine follows what a catalog says to be started next, if that is for the machine, and for once.
func (o *once) note(cat *catalog.Catalog, id, mac string) {
	if cat == nil || id == "" || !catalog.IsMAC(mac) {
		return
	}
	i := slices.IndexFunc(cat.Rules.Next, func(n catalog.Next) bool { return n.ID == id })
	if i < 0 {
		return
	}
	n := &cat.Rules.Next[i]
	if _, signed := slices.BinarySearch(n.Done, mac); signed || !n.Once || n.MAC != "" && n.MAC != mac {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := slices.BinarySearch(o.done[id], mac); there {
		return
	}
	if o.count >= next.MaxDone {
		o.forget(cat)
	}
	if o.count >= next.MaxDone {
		if !o.full {
			o.log.Warn("machines that follow what was said for once are not noted any more: there is no room for more", "machines", o.count)
		}
		o.full = true
		return
	}
	at, _ := slices.BinarySearch(o.done[id], mac)
	o.done[id] = slices.Insert(o.done[id], at, mac)
	o.count++
	o.of = nil
	o.tell()
}

// catalog is a catalog with who has followed here what was said for once.
func (o *once) catalog(cat *catalog.Catalog) *catalog.Catalog {
	if cat == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == cat {
		return o.with
	}
	o.forget(cat)
	with := cat
	if o.count > 0 {
		with = new(catalog.Catalog)
		*with = *cat
		with.Rules.Next = slices.Clone(cat.Rules.Next)
		for i := range with.Rules.Next {
			n := &with.Rules.Next[i]
			n.Done = append(slices.Clone(n.Done), o.done[n.ID]...)
			slices.Sort(n.Done)
		}
	}
	o.of, o.with = cat, with
	return with
}

// forget drops what a catalog says itself, and of which it says nothing any more. The caller holds the lock.
func (o *once) forget(cat *catalog.Catalog) {
	listed, before := map[string]catalog.MACs{}, o.count
	for _, n := range cat.Rules.Next {
		listed[n.ID] = n.Done
	}
	o.count = 0
	for id, macs := range o.done {
		signed, there := listed[id]
		macs = slices.DeleteFunc(macs, func(mac string) bool {
			_, done := slices.BinarySearch(signed, mac)
			return done || !there
		})
		if o.done[id] = macs; len(macs) == 0 {
			delete(o.done, id)
		}
		o.count += len(macs)
	}
	if o.count != before {
		o.full = false
		o.tell()
	}
}

// tell says that something is to be written down.
func (o *once) tell() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// run writes down what has changed until ctx ends, once for all that comes within gatherTime.
func (o *once) run(ctx context.Context) {
	for failed := false; ; {
		select {
		case <-ctx.Done():
		case <-o.changed:
		}
		select {
		case <-ctx.Done():
		case <-time.After(gatherTime):
		}
		err := o.save()
		if err != nil {
			time.AfterFunc(endTime, o.tell)
		}
		if err != nil && !failed {
			o.log.Warn("which machines have followed what was said for once can't be written down; it is tried again, and a restart would lose it", "err", err)
		}
		failed = err != nil
		if ctx.Err() != nil {
			return
		}
	}
}

func (o *once) save() error {
	o.mu.Lock()
	text, err := json.Marshal(o.done)
	count := o.count
	o.mu.Unlock()
	if err != nil {
		return err
	}
	if count > 0 {
		return atomicfile.Write(o.path, text, 0o644)
	}
	if err := os.Remove(o.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
