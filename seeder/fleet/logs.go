package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/quota"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// maxFile is how long a node's log may become, in bytes; then the older half goes.
	maxFile = 4 << 20
	// minCost is what a node's log counts at least, in bytes: it bounds the number of files too.
	minCost = 32 << 10
)

// logs are the nodes' logs on the disk.
type logs struct {
	dir string
	max int64

	mu    sync.Mutex
	nodes map[string]*quota.Item[*nodeLog] // by MAC
	disk  *quota.Stock[*nodeLog]
}

// nodeLog is a node's log with the one of its boot before.
type nodeLog struct {
	Facts
	size, previous int64
}

// cost is what a node's log takes of the disk, in bytes.
func (n *nodeLog) cost() int64 { return max(minCost, n.size+n.previous+4096) }

// errDiskFull is why lines are not kept.
var errDiskFull = errors.New("the disk is full, or has no room for logs: make some, or set the site's folder on a larger one")

// open reads what is there of logs.
func (s *logs) open(dir string, limit int64) {
	s.dir, s.max = dir, limit
	s.nodes, s.disk = map[string]*quota.Item[*nodeLog]{}, quota.New[*nodeLog](limit)
	for _, f := range oldestFirst(dir) {
		n := &nodeLog{Facts: f, size: fileSize(path(dir, f.MAC, logEnding)), previous: fileSize(path(dir, f.MAC, previousEnding))}
		from, _ := netip.ParseAddr(f.IP)
		s.nodes[f.MAC] = s.disk.Add(from, n.cost(), n)
	}
	s.shrink()
}

// shrink makes room on the disk if it has become too full for the logs that there are.
func (s *logs) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disk.SetLimit(s.limit())
	s.evict()
}

// limit is how much the logs may take: a part of what is free besides.
func (s *logs) limit() int64 {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return s.max // there is no folder yet
	}
	return min(s.max, (int64(fs.Bavail)*fs.Bsize+s.disk.Total())/diskShare)
}

// evict drops logs until the others are within the limit: of the node that gives way the boot before, then all. s.mu is held.
func (s *logs) evict() {
	for item := s.disk.Excess(); item != nil; item = s.disk.Excess() {
		n := item.Value
		if n.previous > 0 && n.cost() > minCost {
			_ = os.Remove(path(s.dir, n.MAC, previousEnding))
			n.previous = 0
			s.disk.Update(item, item.Owner(), n.cost())
			continue
		}
		for _, ending := range []string{factsEnding, logEnding, previousEnding} {
			_ = os.Remove(path(s.dir, n.MAC, ending))
		}
		s.disk.Remove(item)
		delete(s.nodes, n.MAC)
	}
}

// add appends lines to a node's log, or begins it anew with a new boot. Name is the node's, if it is known.
func (s *logs) add(l report.Log, from Sender, name string) error {
	now := from.At
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	s.disk.SetLimit(s.limit())
	if s.evict(); s.disk.Total()+minCost > s.limit() && s.disk.Next() == nil {
		return errDiskFull
	}
	n, begun := s.node(l, now)
	if from.Node.IsValid() {
		n.IP = from.Node.String()
	}
	n.Name = cmp.Or(name, n.Name) // a seeder that was started again may not know it yet
	text := &strings.Builder{}
	if l.First > n.Next {
		fmt.Fprintf(text, "... %d lines are missing here ...\n", l.First-n.Next)
	}
	lines := l.Lines[min(max(n.Next-l.First, 0), int64(len(l.Lines))):] // what has not come before
	if first, last, ok := span(lines); ok {
		if first < n.Clock-backwards {
			text.WriteString(takeoverLine(started(lines, now)) + "\n")
		}
		n.Clock = last
	}
	for _, line := range lines {
		text.WriteString(printable(line, report.MaxLine) + "\n")
	}
	n.Next = max(n.Next, l.First+int64(len(l.Lines)))
	n.Started = earliest(n.Started, started(l.Lines, now))
	if err := s.write(&n, text.String(), begun); err != nil {
		return err
	}
	if item := s.nodes[l.MAC]; item != nil {
		item.Value = &n
		s.disk.Update(item, from.By, n.cost())
	} else {
		s.nodes[l.MAC] = s.disk.Add(from.By, n.cost(), &n)
	}
	s.evict()
	return nil
}

// node returns what is known of a log that lines are for, as a copy. Begun says that they are of a new boot.
func (s *logs) node(l report.Log, now time.Time) (n nodeLog, begun bool) {
	item := s.nodes[l.MAC]
	if item != nil && item.Value.Boot == l.Boot {
		return *item.Value, false
	}
	n.Facts = Facts{MAC: l.MAC, Boot: strings.Clone(l.Boot), Began: now.UTC().Truncate(time.Second)}
	if item != nil {
		n.previous, n.IP, n.Name = item.Value.size, item.Value.IP, item.Value.Name
		n.StartedBefore = item.Value.Started
	}
	return n, true
}

// write puts lines into a node's log, and then its facts. Of lines that can't be written whole nothing stays.
func (s *logs) write(n *nodeLog, text string, begun bool) error {
	file := path(s.dir, n.MAC, logEnding)
	if begun {
		if n.previous > 0 {
			if err := os.Rename(file, path(s.dir, n.MAC, previousEnding)); err != nil {
				n.previous = fileSize(path(s.dir, n.MAC, previousEnding))
			}
		}
		n.size = int64(len(text))
		if err := replace(file, text); err != nil { // another file, by which followers know it
			return err
		}
		return writeFacts(s.dir, n.Facts)
	}
	if err := appendWhole(file, text, n.size); err != nil {
		return err
	}
	if n.size += int64(len(text)); n.size > maxFile {
		size, took, err := halve(file)
		if err != nil {
			return err
		}
		n.size = size
		if !took.IsZero() {
			n.Started = took
		}
	}
	return writeFacts(s.dir, n.Facts)
}
