// Package sync stands in for github.com/anacrolix/sync, whose locks of github.com/anacrolix/torrent can keep statistics, switched on by
// the environment. Those bring profiles, tables and a web page along, and each lock a call more. Here its types are Go's own.
package sync

import "sync"

// The types that the library's source names.
type (
	Cond      = sync.Cond
	Locker    = sync.Locker
	Map       = sync.Map
	Mutex     = sync.Mutex
	Once      = sync.Once
	Pool      = sync.Pool
	RWMutex   = sync.RWMutex
	WaitGroup = sync.WaitGroup
)

// OnceValue is Go's.
func OnceValue[T any](f func() T) func() T { return sync.OnceValue(f) }
