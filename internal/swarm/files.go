package swarm

import (
	"container/list"
	"errors"
	"os"
	"sync"
)

// maxOpenFiles is how many files an engine keeps open. A system may have 100,000; a process may have 1,024 (RLIMIT_NOFILE, which
// the Go runtime raises to its hard limit at the start: the kernel's default for that is 4,096), of which connections need some
// hundred. Opening a file again takes microseconds.
const maxOpenFiles = 128

// fileCache keeps the files that were used last open, and closes others. Its methods may be called at the same time.
type fileCache struct {
	most int

	mu   sync.Mutex
	open map[*storedFile]*list.Element // of *openFile
	// order has what was used last in front.
	order list.List
}

// openFile is a file of the cache. fileCache.mu guards its fields.
type openFile struct {
	*os.File
	of *storedFile
	// users is how many read or write now; dropped says that the last of them closes it.
	users   int
	dropped bool
}

func newFileCache(most int) *fileCache {
	return &fileCache{most: most, open: map[*storedFile]*list.Element{}}
}

// use calls do with the file, opened if it is not. What is in use is not closed meanwhile.
func (c *fileCache) use(f *storedFile, do func(*os.File) error) error {
	o, err := c.acquire(f)
	if err != nil {
		return err
	}
	err = do(o.File)
	return errors.Join(err, c.release(o))
}

func (c *fileCache) acquire(f *storedFile) (*openFile, error) {
	if o := c.find(f); o != nil {
		return o, nil
	}
	file, err := f.open() // not under the lock: a disk may take its time
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.open[f] != nil {
		c.mu.Unlock()
		_ = file.Close() // somebody else was faster
		return c.acquire(f)
	}
	o := &openFile{File: file, of: f, users: 1}
	c.open[f] = c.order.PushFront(o)
	evicted := c.evict()
	c.mu.Unlock()
	return o, closeAll(evicted)
}

// find takes a file that is open; nil if it is not.
func (c *fileCache) find(f *storedFile) *openFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.open[f]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	o := e.Value.(*openFile)
	o.users++
	return o
}

func (c *fileCache) release(o *openFile) error {
	c.mu.Lock()
	o.users--
	last := o.dropped && o.users == 0
	c.mu.Unlock()
	if last {
		return closeAll([]*openFile{o})
	}
	return nil
}

// evict takes out what has not been used for longest and is not in use, until no more than the most are left.
func (c *fileCache) evict() (idle []*openFile) {
	for e := c.order.Back(); e != nil && c.order.Len() > c.most; {
		o, next := e.Value.(*openFile), e.Prev()
		if o.users == 0 {
			c.order.Remove(e)
			delete(c.open, o.of)
			idle = append(idle, o)
		}
		e = next
	}
	return idle
}

// drop closes files: at once, or those in use after that.
func (c *fileCache) drop(files []storedFile) error {
	var idle []*openFile
	c.mu.Lock()
	for i := range files {
		e := c.open[&files[i]]
		if e == nil {
			continue
		}
		o := c.order.Remove(e).(*openFile)
		delete(c.open, o.of)
		if o.dropped = true; o.users == 0 {
			idle = append(idle, o)
		}
	}
	c.mu.Unlock()
	return closeAll(idle)
}

func closeAll(files []*openFile) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
