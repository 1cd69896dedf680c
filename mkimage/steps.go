package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// steps are what took how long. The zero value is ready.
type steps struct {
	mu    sync.Mutex
	began time.Time
	list  []step
}

type step struct {
	name string
	// from and took are counted from the first step's beginning.
	from, took time.Duration
}

// add notes a step that has just ended.
func (s *steps) add(name string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now().Add(-took)
	if s.began.IsZero() {
		s.began = began
	}
	s.list = append(s.list, step{name, began.Sub(s.began), took})
}

// print writes a line a step, in the order in which they ended.
func (s *steps) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(w, "seconds  from")
	for _, st := range s.list {
		fmt.Fprintf(w, "%7.2f %5.1f  %s\n", st.took.Seconds(), st.from.Seconds(), st.name)
	}
	if len(s.list) > 0 {
		fmt.Fprintf(w, "%7.2f        in all; what was in the cache is not there\n\n", time.Since(s.began).Seconds())
	}
}
