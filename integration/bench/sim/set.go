package sim

// set is a set of pieces.
type set []uint64

func newSet(n int) set       { return make(set, (n+63)/64) }
func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) remove(i int)   { s[i/64] &^= 1 << (i % 64) }

// fifo is a queue.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int   { return len(f.items) - f.head }
func (f *fifo[T]) front() *T  { return &f.items[f.head] }
func (f *fifo[T]) at(i int) T { return f.items[f.head+i] }

func (f *fifo[T]) push(v T) {
	if f.head > 16 && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) pop() T {
	v := f.items[f.head]
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return v
}

// remove takes out the i-th.
func (f *fifo[T]) remove(i int) {
	f.items = append(f.items[:f.head+i], f.items[f.head+i+1:]...)
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
}
