package forward

import (
	"container/list"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
)

// itemCost is what an item takes beside its body, in bytes.
const itemCost = 300

// queue has items, the oldest first, and of those with the same key the last one.
type queue struct {
	limit, bytes int64
	items        list.List // of *Item
	byKey        map[string]*list.Element
	// busy are those that are being sent, by key.
	busy map[string]*Item
}

func (q *queue) len() int { return q.items.Len() }

// all returns also those that are being sent and may come back, in front.
func (q *queue) all() []*Item {
	all := slices.Collect(maps.Values(q.busy))
	for e := q.items.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*Item))
	}
	return all
}

// add appends an item in place of the one with its key, and returns what has no place any more: that one is not dropped, but the oldest ones
// are if there is too much.
func (q *queue) add(i *Item) (dropped []*Item) {
	if q.byKey == nil {
		q.byKey, q.busy = map[string]*list.Element{}, map[string]*Item{}
	}
	if before := q.byKey[i.Key]; before != nil {
		close(q.remove(before).done)
	}
	q.byKey[i.Key] = q.items.PushBack(i)
	q.bytes += int64(len(i.Body)) + itemCost
	for q.bytes > q.limit {
		dropped = append(dropped, q.remove(q.items.Front()))
	}
	return dropped
}

// next removes the oldest item of which no earlier one is being sent, and marks it as being sent; nil: there is none.
func (q *queue) next() *Item {
	for e := q.items.Front(); e != nil; e = e.Next() {
		if i := e.Value.(*Item); q.busy[i.Key] == nil {
			q.busy[i.Key] = i
			return q.remove(e)
		}
	}
	return nil
}

func (q *queue) remove(e *list.Element) *Item {
	i := q.items.Remove(e).(*Item)
	delete(q.byKey, i.Key)
	q.bytes -= int64(len(i.Body)) + itemCost
	return i
}

// putBack makes an item that was taken the oldest one again, unless there is a later one with its key.
func (q *queue) putBack(i *Item) bool {
	if q.byKey[i.Key] != nil {
		return false
	}
	q.byKey[i.Key] = q.items.PushFront(i)
	q.bytes += int64(len(i.Body)) + itemCost
	return true
}

// keptFile has the reports that are kept, in the forwarder's folder.
const keptFile = "reports.json"

// save writes down what is kept while the other seeder is away.
func (f *Forwarder) save() {
	f.mu.Lock()
	if !f.changed || f.away.IsZero() && !f.stopped && !f.written {
		f.mu.Unlock()
		return
	}
	items := f.kept.all()
	f.changed, f.written = false, len(items) > 0
	f.mu.Unlock()
	path := filepath.Join(f.cfg.Dir, keptFile)
	var err error
	if len(items) == 0 {
		if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		var text []byte
		if text, err = json.Marshal(items); err == nil {
			err = atomicfile.Write(path, text, 0o644)
		}
	}
	if err != nil {
		f.mu.Lock()
		f.changed, f.written = true, true // so that it is tried again
		f.mu.Unlock()
		f.cfg.Log.Warn("nodes' reports that are kept can't be written down; a restart would lose them", "err", err)
	}
}

// recall reads what was kept.
func (f *Forwarder) recall() {
	if err := os.MkdirAll(f.cfg.Dir, 0o755); err != nil {
		f.cfg.Log.Warn("nodes' reports can't be kept over a restart", "err", err)
		return
	}
	path := filepath.Join(f.cfg.Dir, keptFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var items []*Item
	if err == nil {
		err = json.Unmarshal(text, &items)
	}
	if err != nil {
		f.cfg.Log.Warn("nodes' reports that were kept can't be read, and are lost", "err", err)
		return
	}
	for _, i := range items {
		if i != nil && i.Key != "" && i.Node.IsValid() {
			f.add(i)
		}
	}
	f.written = true
}
