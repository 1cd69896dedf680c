// Package quota shares out something scarce (connections, memory, disk, entries of a table) among the addresses that ask for it.
//
// In go items, each with an owner and a cost; out comes, when there is too much, which item gives way: the oldest of the owner that
// holds the most, if that is more than a quarter of everything, else the oldest of all. So one address can use all of what nobody
// else wants (a room behind one NAT address has to boot) and never keeps another address out. All operations take O(log owners).
package quota

import (
	"container/heap"
	"container/list"
	"net/netip"
)

// Stock is what is shared out. Make one with New; it is for one goroutine at a time.
type Stock[V any] struct {
	limit  int64
	total  int64
	items  *list.List // of *Item[V], the oldest first
	owners map[netip.Addr]*owner
	most   byTotal
}

// Item is something that an owner holds.
type Item[V any] struct {
	Value V

	cost  int64
	owner *owner
	// inAll and inOwn are its places in the list of all items and in that of its owner.
	inAll, inOwn *list.Element
}

// owner is an address with what it holds.
type owner struct {
	addr  netip.Addr
	total int64
	items *list.List // the oldest first
	index int        // in the heap
}

// New returns a stock of which nothing is handed out. limit is in the same unit as the costs of items.
func New[V any](limit int64) *Stock[V] {
	return &Stock[V]{limit: limit, items: list.New(), owners: map[netip.Addr]*owner{}}
}

// SetLimit changes how much there is; Excess then says what has to give way.
func (s *Stock[V]) SetLimit(limit int64) { s.limit = limit }

// Total is the cost of all items.
func (s *Stock[V]) Total() int64 { return s.total }

// Len is the number of items.
func (s *Stock[V]) Len() int { return s.items.Len() }

// Held is the cost of all items of an owner.
func (s *Stock[V]) Held(addr netip.Addr) int64 {
	if o := s.owners[addr]; o != nil {
		return o.total
	}
	return 0
}

// Add hands out an item, the youngest now. It may exceed the limit: see Excess.
func (s *Stock[V]) Add(addr netip.Addr, cost int64, value V) *Item[V] {
	item := &Item[V]{Value: value, cost: cost}
	item.inAll = s.items.PushBack(item)
	s.total += cost
	s.give(item, addr)
	return item
}

// Remove takes an item back. An item that was taken back already is left alone.
func (s *Stock[V]) Remove(item *Item[V]) {
	if item.owner == nil {
		return
	}
	s.items.Remove(item.inAll)
	s.total -= item.cost
	s.take(item)
}

// Touch makes an item the youngest.
func (s *Stock[V]) Touch(item *Item[V]) {
	if item.owner != nil {
		s.items.MoveToBack(item.inAll)
		item.owner.items.MoveToBack(item.inOwn)
	}
}

// Update changes an item's owner and cost, and makes it the youngest.
func (s *Stock[V]) Update(item *Item[V], addr netip.Addr, cost int64) {
	if item.owner == nil {
		return
	}
	s.take(item)
	s.total += cost - item.cost
	item.cost = cost
	s.items.MoveToBack(item.inAll)
	s.give(item, addr)
}

// Excess is the item that gives way, as more is handed out than there is; nil if there is enough.
func (s *Stock[V]) Excess() *Item[V] {
	if s.total <= s.limit {
		return nil
	}
	return s.Next()
}

// Next is the item that would give way first; nil if there are none.
func (s *Stock[V]) Next() *Item[V] {
	if s.items.Len() == 0 {
		return nil
	}
	if s.Greedy() {
		return s.most[0].items.Front().Value.(*Item[V])
	}
	return s.items.Front().Value.(*Item[V])
}

// Greedy reports whether Next belongs to an owner that holds more than its share, a quarter.
func (s *Stock[V]) Greedy() bool { return len(s.most) > 0 && s.most[0].total > max(1, s.limit/4) }

// Oldest is an owner's oldest item; nil if it has none.
func (s *Stock[V]) Oldest(addr netip.Addr) *Item[V] {
	if o := s.owners[addr]; o != nil {
		return o.items.Front().Value.(*Item[V])
	}
	return nil
}

// Owner is whose item it is; the zero Addr once it was removed.
func (i *Item[V]) Owner() netip.Addr {
	if i.owner == nil {
		return netip.Addr{}
	}
	return i.owner.addr
}

// All lists the items, the oldest first.
func (s *Stock[V]) All(yield func(*Item[V]) bool) {
	for e := s.items.Front(); e != nil; {
		next := e.Next()
		if !yield(e.Value.(*Item[V])) {
			return
		}
		e = next
	}
}

// give makes an item without an owner an address's.
func (s *Stock[V]) give(item *Item[V], addr netip.Addr) {
	o := s.owners[addr]
	if o == nil {
		o = &owner{addr: addr, items: list.New()}
		s.owners[addr] = o
		heap.Push(&s.most, o)
	}
	item.owner, item.inOwn = o, o.items.PushBack(item)
	o.total += item.cost
	heap.Fix(&s.most, o.index)
}

// take makes an item nobody's.
func (s *Stock[V]) take(item *Item[V]) {
	o := item.owner
	o.items.Remove(item.inOwn)
	o.total -= item.cost
	item.owner, item.inOwn = nil, nil
	if o.items.Len() == 0 {
		heap.Remove(&s.most, o.index)
		delete(s.owners, o.addr)
		return
	}
	heap.Fix(&s.most, o.index)
}

// byTotal is a heap of owners, the one that holds the most first (container/heap).
type byTotal []*owner

func (h byTotal) Len() int           { return len(h) }
func (h byTotal) Less(i, j int) bool { return h[i].total > h[j].total }
func (h byTotal) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *byTotal) Push(x any) {
	o := x.(*owner)
	o.index = len(*h)
	*h = append(*h, o)
}

// Pop implements heap.Interface.
func (h *byTotal) Pop() any {
	old := *h
	o := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return o
}
