// Package next keeps what somebody said that machines start the next time (catalog.Next): in the site's state, so that it stays over a
// restart of the seeder. In go what is said, and from nodes' reports who has followed; out come the entries of the catalog.
package next

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/self"
)

// file is where the entries are kept, in the state folder, and damagedEnding what is appended to the name of one that can't be read.
const (
	file          = "next.json"
	damagedEnding = ".damaged"
)

// Bounds of what goes into the catalog. An entry has some 100 bytes, a machine that has followed one 20.
const (
	// MaxEntries is how many entries there are at most, MaxDone how many machines are noted for all of them together.
	MaxEntries = 1000
	MaxDone    = 5000
	// Week is how long an entry for once is kept for machines that don't come.
	Week = 7 * 24 * time.Hour
)

// Entry is a [catalog.Next] with when it was said.
type Entry struct {
	ID    string    `json:"id"`
	MAC   string    `json:"mac,omitempty"`
	Group string    `json:"group,omitempty"`
	What  string    `json:"what"`
	Once  bool      `json:"once,omitempty"`
	Done  []string  `json:"done,omitempty"` // sorted
	Since time.Time `json:"since"`
}

// catalog is the entry as it stands in the catalog.
func (e *Entry) catalog() catalog.Next {
	return catalog.Next{ID: e.ID, MAC: e.MAC, Group: e.Group, What: e.What, Once: e.Once, Done: e.Done}
}

// Target is whom an entry is for.
type Target struct {
	// MAC is of a machine, Group the name of a group; one of them is set. [catalog.GroupAll] is everybody.
	MAC   string
	Group string
	// Has are the machines of the group, as far as they are known: what was said for one of them before counts no longer.
	Has []string
}

// Store keeps the entries. Its methods may be called from several goroutines.
type Store struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu      sync.Mutex
	entries []Entry
	// unsaved is why the entries are not on the disk; noted says that they have changed by what machines follow and wait to be written.
	unsaved error
	noted   bool
	changed chan struct{}
}

// Open reads the entries from the state folder. A file that can't be read is moved aside, with a line in the log.
func Open(state string, log *slog.Logger, now func() time.Time) *Store {
	s := &Store{path: filepath.Join(state, file), log: log, now: now, changed: make(chan struct{}, 1)}
	entries, err := read(s.path)
	if err == nil {
		s.entries = entries
		return s
	}
	aside := s.path + damagedEnding
	log.Error("what machines start the next time is not known any more; say it again with '"+self.Seeder()+" next'", "file", s.path, "err", err,
		"kept", aside, "rename", os.Rename(s.path, aside))
	return s
}

// Read returns the entries in the state folder, as they are in the catalog.
func Read(state string) ([]catalog.Next, error) {
	entries, err := read(filepath.Join(state, file))
	var all []catalog.Next
	for _, e := range entries {
		all = append(all, e.catalog())
	}
	return all, err
}

// Restore writes the entries of a catalog into a state folder, as if they had been said now.
func Restore(state string, said []catalog.Next, now time.Time) error {
	entries := []Entry{}
	for _, n := range said {
		entries = append(entries, Entry{ID: n.ID, MAC: n.MAC, Group: n.Group, What: n.What, Once: n.Once, Done: n.Done, Since: now.UTC().Truncate(time.Second)})
	}
	text, err := json.Marshal(entries)
	if err == nil {
		err = atomicfile.Write(filepath.Join(state, file), text, 0o644)
	}
	return err
}

// read reads a file of entries; one that isn't there has none.
func read(path string) (entries []Entry, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &entries)
	}
	done := 0
	for i := range entries {
		slices.Sort(entries[i].Done)
		done += len(entries[i].Done)
	}
	switch {
	case err != nil:
		return nil, err
	case slices.ContainsFunc(entries, invalid):
		return nil, errors.New("it has an entry that means nothing")
	case len(entries) > MaxEntries || done > MaxDone:
		return nil, fmt.Errorf("it has %d entries, which %d machines have followed; there is room for %d and %d", len(entries), done, MaxEntries, MaxDone)
	}
	return entries, nil
}

// invalid reports an entry that can't be in a catalog: with one of them there would be none for anybody.
func invalid(e Entry) bool {
	return e.ID == "" || len(e.ID) > catalog.MaxRuleName || strings.ContainsFunc(e.ID, unicode.IsControl) || e.What == "" || (e.MAC == "") == (e.Group == "") ||
		e.MAC != "" && !catalog.IsMAC(e.MAC) || slices.ContainsFunc(e.Done, func(mac string) bool { return !catalog.IsMAC(mac) })
}

// Changes tells when the entries have become others.
func (s *Store) Changes() <-chan struct{} { return s.changed }

// Set says what targets start. It takes the place of what was said for them before, and for the machines that a group has. Nothing is
// changed if there is an error.
func (s *Store) Set(targets []Target, what string, once bool) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := without(s.entries, targets)
	var said []Entry
	for _, t := range targets {
		said = append(said, Entry{ID: rand.Text()[:12], MAC: t.MAC, Group: t.Group, What: what, Once: once, Since: s.now().UTC().Truncate(time.Second)})
	}
	if slices.ContainsFunc(said, invalid) {
		return nil, errors.New("that is for no machine and no group")
	}
	if n := len(entries) + len(said); n > MaxEntries {
		return nil, fmt.Errorf("that would be %d entries, and there is room for %d; name groups instead of machines, or take some away with --clear", n, MaxEntries)
	}
	return said, s.replace(append(entries, said...))
}

// Clear takes away what was said for targets, and for the machines that a group has, and returns that.
func (s *Store) Clear(targets []Target) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := without(s.entries, targets)
	var gone []Entry
	for _, e := range s.entries {
		if !slices.ContainsFunc(entries, func(o Entry) bool { return o.ID == e.ID }) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, s.replace(entries)
}

// without are the entries that are not for the targets.
func without(entries []Entry, targets []Target) []Entry {
	var kept []Entry
	for _, e := range entries {
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.covers(e) }) {
			kept = append(kept, e)
		}
	}
	return kept
}

// covers reports whether a target is the one of an entry, or has it.
func (t Target) covers(e Entry) bool {
	switch {
	case t.Group == catalog.GroupAll:
		return true
	case t.Group != "":
		return e.Group == t.Group || e.MAC != "" && slices.Contains(t.Has, e.MAC)
	}
	return e.MAC == t.MAC
}

// List returns the entries in the order in which they count: those for one machine, for groups, for everybody.
func (s *Store) List() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Entry, 0, len(s.entries))
	for _, e := range s.entries {
		e.Done = slices.Clone(e.Done)
		list = append(list, e)
	}
	rank := func(e Entry) int {
		switch {
		case e.MAC != "":
			return 0
		case e.Group != catalog.GroupAll:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return rank(a) - rank(b) })
	return list
}

// Catalog returns the entries as they stand in the catalog.
func (s *Store) Catalog() []catalog.Next {
	var list []catalog.Next
	for _, e := range s.List() {
		list = append(list, e.catalog())
	}
	return list
}

// Awaits reports whether there is something to note if a machine says that it follows an entry.
func (s *Store) Awaits(mac, id string) bool {
	if id == "" {
		return false // as most reports say; they don't wait for what is being written down
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, ok := s.awaits(mac, id)
	return ok
}

// awaits is Awaits: i is the entry's place, at that of the machine among those that have followed it. The caller holds the lock.
func (s *Store) awaits(mac, id string) (i, at int, ok bool) {
	i = slices.IndexFunc(s.entries, func(e Entry) bool { return e.ID == id })
	if i < 0 || !catalog.IsMAC(mac) || !s.entries[i].Once || s.entries[i].MAC != "" && s.entries[i].MAC != mac {
		return i, 0, false
	}
	at, done := slices.BinarySearch(s.entries[i].Done, mac)
	return i, at, !done
}

// Follow notes that a machine follows an entry, as its report says. What is for once counts no longer for it. End writes it down, once for
// all that came meanwhile: a room that starts at once doesn't wait for the disk.
func (s *Store) Follow(mac, id string) {
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, at, ok := s.awaits(mac, id)
	if !ok {
		return
	}
	entries := slices.Clone(s.entries)
	if entries[i].MAC != "" {
		entries = slices.Delete(entries, i, i+1)
	} else {
		entries[i].Done = slices.Insert(slices.Clone(entries[i].Done), at, mac)
	}
	s.log.Info("a machine starts what '"+self.Seeder()+" next' said", "mac", mac, "what", s.entries[i].What)
	s.entries, s.noted = bounded(entries, s.log), true
	s.tell()
}

// bounded ends the oldest entries for once as long as more machines are noted than there is room for.
func bounded(entries []Entry, log *slog.Logger) []Entry {
	done := 0
	for _, e := range entries {
		done += len(e.Done)
	}
	for done > MaxDone {
		i := slices.IndexFunc(entries, func(e Entry) bool { return len(e.Done) > 0 })
		log.Warn("an entry of '"+self.Seeder()+" next --once' ends: there is no room for more machines that have followed it", "group", entries[i].Group, "what", entries[i].What)
		done -= len(entries[i].Done)
		entries = slices.Delete(entries, i, i+1)
	}
	return entries
}

// End takes away what is over: entries for once that are a week old, and those for a group that is a list of machines (as has returns it;
// nil: it is not) all of which have followed. It writes down who has followed what since it was called last, and tries again what could not
// be written before.
func (s *Store) End(has func(group string) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []Entry
	for _, e := range s.entries {
		switch {
		case e.Once && s.now().Sub(e.Since) >= Week:
			s.log.Info("an entry of '"+self.Seeder()+" next --once' ends after a week", "mac", e.MAC, "group", e.Group, "what", e.What)
		case e.Once && e.Group != "" && all(has(e.Group), e.Done):
			s.log.Info("an entry of '"+self.Seeder()+" next --once' ends: all of the group have followed it", "group", e.Group, "what", e.What)
		default:
			entries = append(entries, e)
		}
	}
	if len(entries) != len(s.entries) {
		s.tell()
	}
	if len(entries) != len(s.entries) || s.noted || s.unsaved != nil {
		s.entries = entries
		_ = s.save() // which has logged it
	}
}

// all reports whether there are wanted ones and all of them are among those that are done.
func all(wanted, done []string) bool {
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(mac string) bool { return !slices.Contains(done, mac) })
}

// replace takes other entries, writes them down, and tells of the change. Where they can't be written down they count all the same, until
// the seeder is started again; the error says so. The caller holds the lock.
func (s *Store) replace(entries []Entry) error {
	s.entries = entries
	s.tell()
	return s.save()
}

// tell says that the entries have become others.
func (s *Store) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// save writes the entries down. The caller holds the lock.
func (s *Store) save() error {
	text, err := json.MarshalIndent(s.entries, "", " ")
	if err == nil {
		err = atomicfile.Write(s.path, append(text, '\n'), 0o644)
	}
	if err != nil {
		err = fmt.Errorf("it counts from now on, but can't be written down, and is lost when the seeder is started again: %w", err)
		if s.unsaved == nil {
			s.log.Error("what machines start the next time can't be written down", "err", err)
		}
	}
	s.unsaved, s.noted = err, false
	return err
}
