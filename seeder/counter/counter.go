// Package counter numbers what a seeder signs, so that nodes and mirrors can tell an old catalog or boot manifest from the one that is
// served now: each number is higher than the one before.
//
// The last number is kept in the site's state, and is on the disk before anything that has it is served. A number is never below the
// time of day in seconds since 1970. So where the state is lost, was restored from a backup, or a site is served by another
// machine from now on, the numbers still grow, as long as no more than one was needed a second and the clock is right. Only a
// clock that is behind and a lost state together give a number that nodes have seen already.
package counter

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// file is where the last number is kept, in the state folder: in decimal, with a newline.
const file = "counter"

// Counter gives numbers. Its methods may be called from several goroutines.
type Counter struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu sync.Mutex
	// last is the highest number given out, saved the one on the disk.
	last, saved uint64
	// err is why last is not on the disk.
	err error
}

// Open reads the last number from the state folder. That it can't be read is logged, and numbers go on from the clock.
func Open(state string, log *slog.Logger, now func() time.Time) *Counter {
	c := &Counter{path: filepath.Join(state, file), log: log, now: now}
	last, err := Read(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the catalog's last counter is not known, and goes on from this machine's clock", "err", err)
	}
	c.last, c.saved = last, last
	return c
}

// Read returns the last number that was written into a state folder. Where there is none the error is an fs.ErrNotExist.
func Read(state string) (uint64, error) {
	path := filepath.Join(state, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n > catalog.MaxCounter {
		return 0, fmt.Errorf("%s is damaged: it has no number up to %d in it", path, int64(catalog.MaxCounter))
	}
	return n, nil
}

// Raise writes into a state folder that numbers up to n were given out; where a higher one was, that stays.
func Raise(state string, n uint64) error {
	last, err := Read(state)
	if err == nil && last >= n {
		return nil
	}
	return atomicfile.Write(filepath.Join(state, file), fmt.Appendln(nil, n), 0o644)
}

// Upcoming is the number that Next would return now.
func (c *Counter) Upcoming() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upcoming()
}

func (c *Counter) upcoming() uint64 {
	return min(max(c.last+1, uint64(max(c.now().Unix(), 0))), catalog.MaxCounter)
}

// Next returns the next number. It is on the disk by then, or, where that can't be, the error says why: then it is no less to be
// served, as a room must not stop because a disk is full. After a restart the clock has to do for what is not there.
func (c *Counter) Next() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.upcoming()
	return n, c.keep(n)
}

// Keep notes that a number, which Upcoming returned, is about to be served. The error is as Next's.
func (c *Counter) Keep(n uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keep(n)
}

func (c *Counter) keep(n uint64) error {
	c.last = max(c.last, n)
	return c.save()
}

// Retry writes down what could not be before, if there is anything.
func (c *Counter) Retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.save() // which has logged it
}

func (c *Counter) save() error {
	if c.saved == c.last {
		return nil
	}
	before := c.err
	if c.err = atomicfile.Write(c.path, fmt.Appendln(nil, c.last), 0o644); c.err == nil {
		c.saved = c.last
		if before != nil {
			c.log.Info("the catalog's counter is written down again", "counter", c.last)
		}
		return nil
	}
	c.err = fmt.Errorf("the catalog's counter can't be written down; nodes are served nevertheless, but after a restart with a clock that is "+
		"behind, those that have seen it would refuse the catalog until they are started again: %w", c.err)
	if before == nil {
		c.log.Error(c.err.Error(), "counter", c.last)
	}
	return c.err
}

// Err is why the last number is not on the disk; nil: it is.
func (c *Counter) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
