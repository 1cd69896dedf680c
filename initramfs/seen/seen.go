// Package seen is a node's memory of the highest counter of a catalog that it took (catalog.Catalog.Counter), by which it refuses an
// old catalog, however well that is signed.
//
// The counter is kept in a file on a tmpfs, so that it outlives the program, which init starts again when it dies. Over kexec it goes
// on the kernel command line ([Argument]), and a stick keeps it over a reboot (packages medium and mediumseen): what is known from
// there is given to [Memory.Raise]. The node's clock plays no part.
package seen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Memory is the highest counter seen. Several programs may share its file. Methods may be called from several goroutines.
type Memory struct {
	file string

	mu      sync.Mutex
	counter uint64
	// stick is the one that the stick knows.
	stick uint64
}

// New returns the memory whose file is at a path. Nothing is read yet, and the file need not be there.
func New(file string) *Memory { return &Memory{file: file} }

// Highest is the highest counter seen, 0 if there was none. An error says that what is in the file counts for nothing.
func (m *Memory) Highest() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.load()
	return m.counter, err
}

// load takes up what is in the file, where other programs may have written.
func (m *Memory) load() error {
	text, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which catalog was seen: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return fmt.Errorf("read which catalog was seen: %s is damaged", m.file)
	}
	m.counter = max(m.counter, n)
	return nil
}

// Raise notes that a counter was seen in this boot. The error says that a program that is started again will not know.
func (m *Memory) Raise(counter uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.load()
	if counter <= m.counter && err == nil {
		return nil
	}
	m.counter = max(m.counter, counter)
	return m.save()
}

// RaiseByStick notes that the stick knows a counter, from boots before or as it was written there. The error is as [Memory.Raise]'s.
func (m *Memory) RaiseByStick(counter uint64) error {
	m.mu.Lock()
	m.stick = max(m.stick, counter)
	m.mu.Unlock()
	return m.Raise(counter)
}

// save replaces the file by rename, so that a program that dies meanwhile leaves a whole one.
func (m *Memory) save() error {
	err := os.MkdirAll(filepath.Dir(m.file), 0o755)
	if err == nil {
		err = os.WriteFile(m.file+".new", strconv.AppendUint(nil, m.counter, 10), 0o644)
	}
	if err == nil {
		err = os.Rename(m.file+".new", m.file)
	}
	if err != nil {
		return fmt.Errorf("write down which catalog was seen: %w", err)
	}
	return nil
}

// Check returns an [*OldError] if a catalog with this counter, offered by a seeder, is older than one that was seen.
func (m *Memory) Check(counter uint64, seeder string) error {
	highest, _ := m.Highest() // of what is damaged Raise tells, and writes it anew
	if counter >= highest {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stick > counter {
		return &OldError{Seen: m.stick, Offered: counter, Seeder: seeder, Stick: true}
	}
	return &OldError{Seen: highest, Offered: counter, Seeder: seeder}
}

// OldError says that a catalog is older than one that was seen.
type OldError struct {
	Seen, Offered uint64
	// Seeder is the base URL of who offered it.
	Seeder string
	// Stick says that Seen is what the stick knows, so that a reboot changes nothing.
	Stick bool
}

func (e *OldError) Error() string {
	who := "this machine has seen one in this boot"
	if e.Stick {
		who = "the stick that this machine was started from has seen one"
	}
	offered := fmt.Sprintf("with the counter %d", e.Offered)
	if e.Offered == 0 {
		offered = "without a counter (its seeder is of an older release)"
	}
	return fmt.Sprintf("%s offers a catalog %s, and %s with the counter %d. The signature is right, but somebody may be replaying an old catalog, "+
		"or the state of the seeder was lost", e.Seeder, offered, who, e.Seen)
}

// Advice is what a person can do about it.
func (e *OldError) Advice() string {
	node := "Here: whoever knows why can start this machine again, which forgets what it has seen."
	if e.Stick {
		node = "Here: starting again doesn't help, as the stick remembers. Whoever knows why can write the stick again (mkimage flash)."
	}
	if e.Offered == 0 {
		return "At the seeder: install the newer release again, and start it. " + node
	}
	return "At the seeder: see that its clock is right (timedatectl), and start 'seeder serve' again: its next catalog has a higher counter. " +
		fmt.Sprintf("If that is refused too, its clock was ahead before its state was lost: stop it, write %d into .boottorrent/counter in its "+
			"site's folder, and start it. ", e.Seen) + node
}
