package forward

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// fileCost is what a file takes of the disk at least, in bytes; logs may have one part in diskShare of what is free.
const fileCost, diskShare = 4 << 10, 10

// spool keeps batches of logs on the disk until they are sent, one a file. Those of one node are sent one after the other.
type spool struct {
	dir   string
	limit int64
	log   *slog.Logger
	// sometimes bounds what is said of batches that can't be kept.
	sometimes rate.Sometimes

	mu     sync.Mutex
	next   uint64
	bytes  int64
	shards [logSenders][]spooled // the oldest first
	made   Counts
}

// spooled is a file.
type spooled struct {
	number uint64
	name   string
	size   int64
}

// openSpool returns a spool with the files that are there.
func openSpool(dir string, limit int64, log *slog.Logger) *spool {
	s := &spool{dir: dir, limit: limit, log: log, sometimes: rate.Sometimes{Interval: saveTime}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		log.Warn("nodes' logs can't be kept for the seeder that is followed", "err", err)
	}
	entries, _ := os.ReadDir(dir) // of which there are none then
	for _, e := range entries {
		file := spooled{name: e.Name()}
		var mac string
		if n, err := fmt.Sscanf(e.Name(), "%016x-%s", &file.number, &mac); n != 2 || err != nil || !strings.HasSuffix(mac, ".json") {
			_ = os.Remove(filepath.Join(dir, e.Name())) // of one that was not written whole
			continue
		}
		if info, err := e.Info(); err == nil {
			file.size = max(fileCost, info.Size())
		}
		s.next = max(s.next, file.number+1)
		s.bytes += file.size
		shard := shardOf(mac)
		s.shards[shard] = append(s.shards[shard], file)
	}
	for i := range s.shards {
		slices.SortFunc(s.shards[i], func(a, b spooled) int { return cmp.Compare(a.number, b.number) })
	}
	return s
}

// shardOf is the one that sends what is in files of a node.
func shardOf(mac string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.TrimSuffix(mac, ".json")))
	return int(h.Sum32() % logSenders)
}

// add keeps a batch. Where there is no room the oldest ones go.
func (s *spool) add(i *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Path = catalog.PathLog
	text, err := json.Marshal(i)
	mac := strings.ReplaceAll(i.MAC, ":", "")
	file := spooled{number: s.next, name: fmt.Sprintf("%016x-%s.json", s.next, mac), size: max(fileCost, int64(len(text)))}
	s.next++
	limit := s.room()
	for s.bytes+file.size > limit && s.dropOldest() {
	}
	if err == nil && file.size > limit {
		err = fmt.Errorf("the disk is full")
	}
	if err == nil {
		err = s.write(file.name, text)
	}
	if err != nil {
		s.made.Dropped++
		s.sometimes.Do(func() {
			s.log.Warn("a node's log can't be kept for the seeder that is followed; it is here", "err", err)
		})
		return
	}
	s.bytes += file.size
	shard := shardOf(mac)
	s.shards[shard] = append(s.shards[shard], file)
}

// write writes a file, whole or not at all as far as openSpool sees.
func (s *spool) write(name string, text []byte) error {
	part := filepath.Join(s.dir, "."+name)
	err := os.WriteFile(part, text, 0o644)
	if err == nil {
		err = os.Rename(part, filepath.Join(s.dir, name))
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return err
}

// room is how much the files may take. The caller holds the lock.
func (s *spool) room() int64 {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return s.limit
	}
	return min(s.limit, (int64(disk.Bavail)*disk.Bsize+s.bytes)/diskShare)
}

// dropOldest drops the oldest batch, and reports whether there was one. The caller holds the lock.
func (s *spool) dropOldest() bool {
	oldest := -1
	for i, files := range s.shards {
		if len(files) > 0 && (oldest < 0 || files[0].number < s.shards[oldest][0].number) {
			oldest = i
		}
	}
	if oldest < 0 {
		return false
	}
	s.remove(oldest, s.shards[oldest][0])
	s.made.Dropped++
	s.sometimes.Do(func() {
		s.log.Warn("there is no room to keep all of the nodes' logs for the seeder that is followed; the oldest lines are kept here only")
	})
	return true
}

// remove deletes a file. The caller holds the lock.
func (s *spool) remove(shard int, file spooled) {
	i := slices.IndexFunc(s.shards[shard], func(f spooled) bool { return f.number == file.number })
	if i < 0 {
		return // it was dropped while it was sent
	}
	s.shards[shard] = slices.Delete(s.shards[shard], i, i+1)
	s.bytes -= file.size
	if err := os.Remove(filepath.Join(s.dir, file.name)); err != nil {
		s.log.Warn("a node's log that was handed on can't be deleted", "err", err)
	}
}

// oldest reads the oldest batch of a shard; nil: there is none. One that can't be read is dropped.
func (s *spool) oldest(shard int) (file spooled, i *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.shards[shard]) > 0 {
		file = s.shards[shard][0]
		text, err := os.ReadFile(filepath.Join(s.dir, file.name))
		i = &Item{}
		if err == nil {
			err = json.Unmarshal(text, i)
		}
		if err == nil && i.Node.IsValid() {
			return file, i
		}
		s.remove(shard, file)
		s.made.Dropped++
	}
	return file, nil
}

// done notes what became of a batch that was sent.
func (s *spool) done(shard int, file spooled, count func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(shard, file)
	count(&s.made)
}

// counts is how it stands now.
func (s *spool) counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.made
	c.KeptBytes = s.bytes
	for _, files := range s.shards {
		c.Kept += len(files)
	}
	return c
}

// has reports whether a shard has something to send.
func (s *spool) has(shard int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shards[shard]) > 0
}

// sendLogs sends the logs of a shard until ctx ends.
func (f *Forwarder) sendLogs(ctx context.Context, shard int) {
	for {
		f.mu.Lock()
		for !f.stopped && (!f.logs.has(shard) || f.pausing()) {
			f.more.Wait()
		}
		stopped := f.stopped
		f.mu.Unlock()
		if stopped {
			return
		}
		file, i := f.logs.oldest(shard)
		if i == nil {
			continue
		}
		_, err := f.post(ctx, i)
		f.mu.Lock()
		switch {
		case err == nil:
			f.taken()
			f.logs.done(shard, file, func(c *Counts) { c.Sent++ })
		case refused(err):
			f.taken()
			f.logs.done(shard, file, func(c *Counts) { c.Refused++ })
			f.cfg.Log.Warn("the seeder that is followed refuses a node's log", "node", i.Node, "err", err)
		default:
			f.pause(ctx, err)
		}
		f.mu.Unlock()
	}
}
