package fleet

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
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
	// Clock is the time of the last line, since its kernel started.
	Clock time.Duration `json:"clock,omitempty"`
	// Started is when the node's kernel began to count, by the seeder's clock, and StartedBefore when that of the boot before did; zero:
	// not known. Where a boot went on under another kernel, it is of the one that the first line in the file is of.
	Started       time.Time `json:"started,omitzero"`
	StartedBefore time.Time `json:"started_before,omitzero"`
}

// What files of a node end in: the log of its last boot, that of the boot before, and the facts.
const (
	logEnding      = ".log"
	previousEnding = ".previous"
	factsEnding    = ".json"
)

// path is a file of a node: a MAC address with dashes, as not every file system has colons.
func path(dir, mac, ending string) string {
	return filepath.Join(dir, strings.ReplaceAll(mac, ":", "-")+ending)
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// appendWhole appends text to a file that has size bytes: all of it or, if the disk is full, nothing.
func appendWhole(file, text string, size int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err != nil {
		return errors.Join(err, f.Truncate(size), f.Close())
	}
	return f.Close()
}

// halve drops the older half of a log, and returns how many bytes are left, and when the kernel that they begin with started if that
// was in what is dropped.
func halve(file string) (size int64, started time.Time, err error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return 0, started, err
	}
	_, rest, _ := strings.Cut(string(body[len(body)/2:]), "\n")
	text := "... older lines were dropped: the log had become longer than 4 MiB ...\n" + rest
	return int64(len(text)), lastTakeover(string(body[:len(body)-len(rest)])), replace(file, text)
}

// replace writes a file that is whole under its name at any time. It does not wait for the disk, as package atomicfile would: a file
// a node is written for every batch of its log, and when power fails, logs may.
func replace(file, text string) error {
	temp := file + ".tmp"
	err := os.WriteFile(temp, []byte(text), 0o644)
	if err == nil {
		err = os.Rename(temp, file)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

func writeFacts(dir string, f Facts) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return replace(path(dir, f.MAC, factsEnding), string(body))
}

func readFacts(file string) (f Facts, err error) {
	body, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	return f, err
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

// oldestFirst reads the facts in a folder, those of the log that was added to least recently first.
func oldestFirst(dir string) (all []Facts) {
	files, err := factsFiles(dir)
	if err != nil {
		return nil
	}
	written := map[string]time.Time{}
	for _, file := range files {
		f, err := readFacts(file)
		info, statErr := os.Stat(file)
		if mac, macErr := checkMAC(f.MAC); errors.Join(err, statErr, macErr) == nil && path(dir, mac, factsEnding) == file {
			f.MAC = mac
			all, written[mac] = append(all, f), info.ModTime()
		}
	}
	slices.SortFunc(all, func(a, b Facts) int { return written[a.MAC].Compare(written[b.MAC]) })
	return all
}
