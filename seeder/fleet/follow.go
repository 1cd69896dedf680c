package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// pollTime is how often a log is looked at for new lines. Files are looked at rather than watched, so that it works on any file
// system.
const pollTime = 300 * time.Millisecond

// Nodes lists the nodes whose logs are in dir, by their names and addresses.
func Nodes(dir string) ([]Facts, error) {
	files, err := factsFiles(dir)
	if err != nil {
		return nil, err
	}
	var nodes []Facts
	for _, file := range files {
		if f, err := readFacts(file); err == nil {
			nodes = append(nodes, f)
		}
	}
	slices.SortFunc(nodes, func(a, b Facts) int { return strings.Compare(a.Label()+a.MAC, b.Label()+b.MAC) })
	return nodes, nil
}

// Label is how a person knows the node: its name, or its address, or its MAC address.
func (f Facts) Label() string {
	switch {
	case f.Name != "":
		return f.Name
	case f.IP != "":
		return f.IP
	}
	return f.MAC
}

// Find returns the node that a person means by a MAC address, an IP address or a host name, or the beginning of one. The
// error lists those that there are.
func Find(nodes []Facts, name string) (Facts, error) {
	want := strings.ToLower(name)
	if mac, err := net.ParseMAC(want); err == nil {
		want = mac.String()
	}
	var whole, part []Facts
	for _, f := range nodes {
		keys := []string{f.MAC, f.IP, strings.ToLower(f.Name)}
		switch {
		case slices.Contains(keys, want):
			whole = append(whole, f)
		case slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, want) }):
			part = append(part, f)
		}
	}
	found := whole
	if len(found) == 0 {
		found = part
	}
	switch {
	case name != "" && len(found) == 1:
		return found[0], nil
	case name != "" && len(found) > 1:
		return Facts{}, fmt.Errorf("%q may be one of %s", name, labels(found))
	case len(nodes) == 0:
		return Facts{}, errors.New("no node has sent its log yet")
	}
	return Facts{}, fmt.Errorf("there is no log of %q; there are those of %s", name, labels(nodes))
}

func labels(nodes []Facts) string {
	var all []string
	for _, f := range nodes {
		text := f.Label() + " (" + f.MAC
		if f.Name != "" {
			text += ", " + f.IP
		}
		all = append(all, text+")")
	}
	return strings.Join(all, ", ")
}

// Follower prints logs as they grow.
type Follower struct {
	// Dir is where the logs are.
	Dir string
	// MAC is of the node to follow; empty: all, and each line begins with the node's label.
	MAC string
	Out io.Writer

	files map[string]*followed
	// known are the facts that were read, by their files.
	known map[string]known
}

// known are facts with the file that they were read from.
type known struct {
	facts Facts
	file  os.FileInfo
}

// nodes is Nodes, but reads only what has changed: a site may have ten thousand.
func (w *Follower) nodes() (all []Facts, err error) {
	files, err := factsFiles(w.Dir)
	if err != nil {
		return nil, err
	}
	now := make(map[string]known, len(files))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue // it is gone
		}
		k, ok := w.known[file]
		if !ok || !os.SameFile(k.file, info) || !k.file.ModTime().Equal(info.ModTime()) {
			if k.facts, err = readFacts(file); err != nil {
				continue
			}
			k.file = info
		}
		now[file] = k
		all = append(all, k.facts)
	}
	w.known = now
	return all, nil
}

// HasLog reports whether there is a log of a node's last boot, or of the one before.
func HasLog(dir, mac string, previous bool) bool {
	ending := logEnding
	if previous {
		ending = previousEnding
	}
	info, err := os.Stat(path(dir, mac, ending))
	return err == nil && info.Mode().IsRegular()
}

// PrintLog prints the log of the last boot of the node with a MAC address (aa:bb:cc:dd:ee:ff), or of the one before. It is an error that
// wraps [os.ErrNotExist] if there is none.
func PrintLog(out io.Writer, dir, mac string, previous bool) error {
	f, err := readFacts(path(dir, mac, factsEnding))
	if err != nil {
		return err
	}
	if !HasLog(dir, mac, previous) {
		return fmt.Errorf("the log of %s: %w", f.Label(), os.ErrNotExist)
	}
	if previous {
		return PrintPrevious(out, dir, f)
	}
	w := Follower{Dir: dir, MAC: mac, Out: out, files: map[string]*followed{}}
	return w.print(f)
}

// PrintPrevious prints the log of a node's boot before the last one.
func PrintPrevious(out io.Writer, dir string, f Facts) error {
	file, err := os.Open(path(dir, f.MAC, previousEnding))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no log of an earlier boot of %s", f.Label())
	}
	if err != nil {
		return err
	}
	defer file.Close()
	clock := clock{started: f.StartedBefore}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, clock.timed(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

// followed is the log of one node.
type followed struct {
	facts Facts
	file  os.FileInfo // the file that was read last
	at    int64       // how far
	rest  string      // of a line that has no end yet
	last  string      // the line that was printed last
	clock clock
}

// Print prints what was added since the last call.
func (w *Follower) Print() error {
	nodes, err := w.nodes()
	if err != nil {
		return err
	}
	if w.files == nil {
		w.files = map[string]*followed{}
	}
	for _, f := range nodes {
		if w.MAC != "" && f.MAC != w.MAC {
			continue
		}
		if err := w.print(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Follow prints until ctx ends.
func (w *Follower) Follow(ctx context.Context) error {
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		if err := w.Print(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Follower) print(f Facts) error {
	seen := w.files[f.MAC]
	if seen == nil {
		seen = &followed{}
		w.files[f.MAC] = seen
	}
	file, err := os.Open(path(w.Dir, f.MAC, logEnding))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if seen.facts.Boot != f.Boot {
		*seen = followed{}
		if err := w.line(f, fmt.Sprintf("==== %s (%s): boot of %s ====", f.Label(), f.MAC, f.Began.Local().Format(time.DateTime))); err != nil {
			return err
		}
	} else if !os.SameFile(seen.file, info) || info.Size() < seen.at {
		// The older half was dropped.
		seen.rest = ""
		if seen.at, err = after(file, seen.last); err != nil {
			return err
		}
	}
	seen.facts, seen.file = f, info
	if !seen.clock.tookOver {
		seen.clock.started = f.Started
	}
	text, err := io.ReadAll(io.NewSectionReader(file, seen.at, maxFile+report.MaxLogBody))
	seen.at += int64(len(text))
	seen.rest += string(text)
	for err == nil {
		line, rest, whole := strings.Cut(seen.rest, "\n")
		if !whole {
			break
		}
		seen.rest, seen.last = rest, line
		err = w.line(f, seen.clock.timed(line))
	}
	return err
}

// after is where in a log the lines after the given one begin: 0 if it isn't there. Lines are told apart by the time that the kernel
// gave them.
func after(file io.ReaderAt, line string) (int64, error) {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxFile+report.MaxLogBody))
	line = "\n" + line + "\n" // the log's first line, which says what was dropped, is never it
	if at := strings.LastIndex(string(text), line); at >= 0 {
		return int64(at + len(line)), err
	}
	return 0, err
}

func (w *Follower) line(f Facts, line string) error {
	if w.MAC == "" {
		line = f.Label() + ": " + line
	}
	_, err := fmt.Fprintln(w.Out, line)
	return err
}
