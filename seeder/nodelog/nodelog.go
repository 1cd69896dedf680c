// Package nodelog keeps the log of each node's last boot: in go batches of lines (POST /api/log), out come files, one a node,
// which stay over a restart of the seeder, and which a [Follower] shows. A new boot of a node takes the place of the one before;
// that is not kept.
//
// Logs are kept and shown, never trusted: whoever can reach the seeder can send any. So there is a limit for everything,
// and nothing in a line can drive a terminal.
package nodelog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// maxBody and maxLines bound a batch, maxLine a line in bytes.
	maxBody  = 512 << 10
	maxLines = 1000
	maxLine  = 1000
	// maxFile is how long a node's log may become, in bytes; then the older half goes.
	maxFile = 4 << 20
	// maxNodes is how many nodes' logs are kept; the one silent for longest makes room for a new one.
	maxNodes = 4096
)

// Facts are what is known of a log.
type Facts struct {
	MAC string `json:"mac"`
	// IP is where the log came from last, Name the node's host name if it has one.
	IP   string `json:"ip"`
	Name string `json:"name,omitempty"`
	Boot string `json:"boot"`
	// Began is when its first line came, by the seeder's clock.
	Began time.Time `json:"began"`
	// Next is the number of the line that comes next.
	Next int64 `json:"next"`
}

// Store keeps logs in a folder. Its methods may be called from any goroutine.
type Store struct {
	// Names returns the name of a MAC address, or ""; nil: nobody has one. To be set before the store is used.
	Names func(mac string) string

	dir string
	log *slog.Logger
	now func() time.Time
	mu  sync.Mutex
}

// New returns a store in dir, which is made when it is needed.
func New(dir string, log *slog.Logger, now func() time.Time) *Store {
	return &Store{dir: dir, log: log, now: now}
}

// Handler takes a report.Log as JSON by POST: 204 if it was taken, 400 with the reason if it can't be, 413 if it is too large.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "send lines by POST; to read them: seeder logs", http.StatusMethodNotAllowed)
			return
		}
		var l report.Log
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&l)
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			http.Error(w, "the lines are larger than 512 KiB", http.StatusRequestEntityTooLarge)
			return
		}
		if err == nil {
			err = check(&l)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		from := ""
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			from = at.Addr().Unmap().String()
		}
		if err := s.add(l, from); err != nil {
			s.log.Warn("a node's log can't be kept", "mac", l.MAC, "err", err)
			http.Error(w, "the lines can't be kept; see the seeder's log", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// check refuses what makes no sense.
func check(l *report.Log) error {
	mac, err := net.ParseMAC(l.MAC)
	if err != nil || len(mac) != 6 {
		return fmt.Errorf("mac %q is not of the form aa:bb:cc:dd:ee:ff", l.MAC)
	}
	l.MAC = mac.String()
	if l.Boot == "" || len(l.Boot) > 64 {
		return fmt.Errorf("boot has %d bytes, want 1 to 64", len(l.Boot))
	}
	if l.First < 0 || l.First > 1<<40 || len(l.Lines) > maxLines {
		return fmt.Errorf("%d lines from number %d: want up to %d", len(l.Lines), l.First, maxLines)
	}
	return nil
}

// path is a file of a node: a MAC address with dashes, as not every file system has colons.
func path(dir, mac, ending string) string {
	return filepath.Join(dir, strings.ReplaceAll(mac, ":", "-")+ending)
}

const (
	logEnding   = ".log"
	factsEnding = ".json"
)

// add appends lines to a node's log, or begins it anew with a new boot.
func (s *Store) add(l report.Log, from string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	f, err := readFacts(path(s.dir, l.MAC, factsEnding))
	fresh := err != nil || f.Boot != l.Boot
	if fresh {
		if errors.Is(err, os.ErrNotExist) {
			s.makeRoom()
		}
		f = Facts{MAC: l.MAC, Boot: l.Boot, Began: s.now().UTC().Truncate(time.Second)}
	}
	if from != "" {
		f.IP = from
	}
	if s.Names != nil {
		f.Name = cmp.Or(s.Names(l.MAC), f.Name) // a seeder that was started again may not know it yet
	}
	text := &strings.Builder{}
	switch {
	case l.First > f.Next:
		fmt.Fprintf(text, "... %d lines are missing here ...\n", l.First-f.Next)
		f.Next = l.First
	case l.First < f.Next:
		l.Lines = l.Lines[min(f.Next-l.First, int64(len(l.Lines))):] // it has come before
	}
	for _, line := range l.Lines {
		text.WriteString(printable(line) + "\n")
	}
	f.Next += int64(len(l.Lines))
	if err := s.write(path(s.dir, l.MAC, logEnding), text.String(), fresh); err != nil {
		return err
	}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return replace(path(s.dir, l.MAC, factsEnding), string(body))
}

// write appends to a log; a fresh one is another file, by which followers know it.
func (s *Store) write(file, text string, fresh bool) error {
	if fresh {
		return replace(file, text)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	info, statErr := f.Stat()
	if err := errors.Join(err, statErr, f.Close()); err != nil {
		return err
	}
	if info.Size() > maxFile {
		return halve(file)
	}
	return nil
}

// halve drops the older half of a log.
func halve(file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(body[len(body)/2:]), "\n")
	return replace(file, "... older lines were dropped: the log had become longer than 4 MiB ...\n"+rest)
}

// replace writes a file that is whole under its name at any time.
func replace(file, text string) error {
	temp := file + ".tmp"
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, file)
}

// makeRoom drops the log that nothing was added to for longest, if there are too many.
func (s *Store) makeRoom() {
	files, err := factsFiles(s.dir)
	if err != nil || len(files) < maxNodes {
		return
	}
	oldest, since := "", time.Time{}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && (oldest == "" || info.ModTime().Before(since)) {
			oldest, since = file, info.ModTime()
		}
	}
	_ = os.Remove(oldest)
	_ = os.Remove(strings.TrimSuffix(oldest, factsEnding) + logEnding)
}

// factsFiles are the files of facts in a folder; none if that isn't there.
func factsFiles(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir) // rather than a pattern, in which a site's own name could be one
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), factsEnding) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, err
}

func readFacts(file string) (f Facts, err error) {
	body, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	return f, err
}

// printable is a line without what could drive a terminal or turn its text around, not longer than maxLine.
func printable(line string) string {
	line = strings.ToValidUTF8(line[:min(len(line), maxLine)], "?")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, line)
}
