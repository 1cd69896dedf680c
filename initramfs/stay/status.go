package stay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// StatusName is the file, in the folder of StatusFD (/run/boottorrent), that says what the process does.
const StatusName = "status.json"

// State is what the process does.
type State string

// The states.
const (
	// Waiting is for an address.
	Waiting State = "waiting"
	// Giving is that the images are given away.
	Giving State = "giving"
	// Off is that the site or the node doesn't want that, and no process is left.
	Off State = "off"
)

// Status is the content of StatusName, as JSON. It is written when something changes, and the numbers at most every ten seconds.
type Status struct {
	System   string           `json:"system"`
	Title    string           `json:"title"`
	InfoHash catalog.InfoHash `json:"infohash"`
	State    State            `json:"state"`
	// Since is when the state began, by the machine's clock.
	Since time.Time `json:"since"`
	// Address is where other nodes connect to: IP:PORT, by TCP. It is empty while waiting for one.
	Address string `json:"address,omitempty"`
	// Seeder is the URL of the seeder that the process reports to.
	Seeder string `json:"seeder"`
	// Peers is the number of connections, Given what was given away since the system was started, in bytes.
	Peers int   `json:"peers"`
	Given int64 `json:"given"`
	// PID is the process.
	PID int `json:"pid"`
	// Error is what keeps it from giving away; empty if nothing does.
	Error string `json:"error,omitempty"`
}

// numbersTime is how often Status is written when only its numbers change.
const numbersTime = 10 * time.Second

// statusFile writes a Status where it has changed.
type statusFile struct {
	dir *os.File
	now func() time.Time

	last    Status
	written time.Time
	failed  bool
}

// set writes the status if it is another, and returns what goes wrong, once.
func (f *statusFile) set(s Status) error {
	now := f.now()
	if s.Since = f.last.Since; s.State != f.last.State {
		s.Since = now.UTC().Truncate(time.Second)
	}
	numbers := s
	numbers.Peers, numbers.Given = f.last.Peers, f.last.Given
	if s == f.last || numbers == f.last && now.Sub(f.written) < numbersTime {
		return nil
	}
	f.last, f.written = s, now
	err := writeAt(f.dir, StatusName, s)
	if f.failed, err = err != nil, f.once(err); err != nil {
		return fmt.Errorf("write down what is given away: %w", err)
	}
	return nil
}

// once is the error, if the write before did not fail as well.
func (f *statusFile) once(err error) error {
	if f.failed {
		return nil
	}
	return err
}

// writeAt puts a value as JSON into a file of a folder: what is read there is all of the old or all of the new. The folder is not
// named: its path may lead elsewhere by now. Everybody may read the file.
func writeAt(dir *os.File, name string, value any) error {
	b, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	temp := "." + name + ".new"
	fd, err := unix.Openat(int(dir.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &os.PathError{Op: "openat", Path: temp, Err: err}
	}
	file := os.NewFile(uintptr(fd), temp)
	_, err = file.Write(append(b, '\n'))
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = unix.Renameat(int(dir.Fd()), temp, int(dir.Fd()), name)
	}
	return err
}

// text is where an engine listens; empty without an address.
func text(a netip.Addr, port int) string {
	if !a.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(a, uint16(port)).String()
}
