package quota

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

// trim takes back what is too much, and returns its values.
func trim(s *Stock[int]) (gone []int) {
	for item := s.Excess(); item != nil; item = s.Excess() {
		gone = append(gone, item.Value)
		s.Remove(item)
	}
	return gone
}

// Owners that hold the same lose what is oldest.
func TestOldestGivesWay(t *testing.T) {
	s := New[int](10)
	var items []*Item[int]
	for n := range 10 {
		items = append(items, s.Add(addr(n), 1, n))
	}
	if got := trim(s); got != nil {
		t.Errorf("%v give way, though there is enough", got)
	}
	s.Touch(items[0])
	s.Add(addr(10), 1, 10)
	if got := trim(s); len(got) != 1 || got[0] != 1 {
		t.Errorf("%v give way, want 1: the oldest", got)
	}
}

// Whoever holds more than a quarter gives way, whatever is older.
func TestGreedyOwnerGivesWay(t *testing.T) {
	s := New[int](12)
	for n := range 8 {
		s.Add(addr(n), 1, n)
	}
	for n := range 100 {
		s.Add(addr(99), 1, 100+n)
		for _, gone := range trim(s) {
			if gone < 100 {
				t.Fatalf("%d gives way to somebody with %d", gone, s.Held(addr(99)))
			}
		}
	}
	if s.Held(addr(99)) != 4 || s.Total() != 12 || s.Len() != 12 {
		t.Errorf("the greedy one holds %d of %d", s.Held(addr(99)), s.Total())
	}
	if item := s.Oldest(addr(99)); item.Value != 196 || item.Owner() != addr(99) {
		t.Errorf("its oldest is %d", item.Value)
	}
	if s.Oldest(addr(77)) != nil || s.Held(addr(77)) != 0 {
		t.Error("who has nothing has something")
	}
}

// One owner may hold everything as long as nobody else comes.
func TestOneOwnerAlone(t *testing.T) {
	s := New[int](100)
	for n := range 100 {
		s.Add(addr(1), 1, n)
	}
	if got := trim(s); got != nil {
		t.Errorf("%v give way", got)
	}
	s.Add(addr(2), 1, 200)
	if got := trim(s); len(got) != 1 || got[0] != 0 {
		t.Errorf("%v give way, want 0", got)
	}
	if !s.Greedy() {
		t.Error("the holder of 99 in 100 is within its share")
	}
}

// Whatever is done, sums are right and the heap's order holds.
func TestSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := New[int](50)
	live := map[*Item[int]]int64{}
	for range 10000 {
		var one *Item[int]
		for item := range live {
			one = item
			break
		}
		switch cost := r.Int64N(5); {
		case one == nil || r.IntN(3) == 0:
			live[s.Add(addr(r.IntN(9)), cost, 0)] = cost
		case r.IntN(3) == 0:
			s.Update(one, addr(r.IntN(9)), cost)
			live[one] = cost
		case r.IntN(3) == 0:
			s.Touch(one)
		default:
			s.Remove(one)
			s.Remove(one)
			delete(live, one)
		}
		for item := s.Excess(); item != nil; item = s.Excess() {
			s.Remove(item)
			delete(live, item)
		}
		var total int64
		for _, cost := range live {
			total += cost
		}
		held, n := int64(0), 0
		for a := range 9 {
			held += s.Held(addr(a))
		}
		for range s.All {
			n++
		}
		if s.Total() != total || held != total || s.Len() != len(live) || n != len(live) || total > 50 {
			t.Fatalf("total %d, held %d, want %d; %d items, %d listed, want %d", s.Total(), held, total, s.Len(), n, len(live))
		}
		for i, o := range s.most {
			if o.index != i || o.total > s.most[0].total {
				t.Fatalf("the heap is out of order at %d", i)
			}
		}
	}
	// What was removed is left alone.
	gone := s.Add(addr(1), 1, 1)
	s.Remove(gone)
	s.Touch(gone)
	s.Update(gone, addr(2), 9)
	if gone.Owner().IsValid() {
		t.Error("a removed item has an owner")
	}
}

func BenchmarkAddEvict(b *testing.B) {
	s := New[int](10000)
	for n := range b.N {
		s.Add(addr(n%12000), 1, n)
		if item := s.Excess(); item != nil {
			s.Remove(item)
		}
	}
}
