// Package kept has results of benchmarks as files of JSON in a folder, each named by its kind and its time.
package kept

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Write keeps a result of a kind in a folder, which is made if it is not there, and returns the file's path.
func Write(dir, kind string, at time.Time, result any) (path string, err error) {
	b, err := json.MarshalIndent(result, "", "\t")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, kind+"-"+at.UTC().Format("20060102-150405")+".json")
	return path, os.WriteFile(path, append(b, '\n'), 0o644)
}

// Read returns all results of a kind in a folder, oldest first.
func Read[R any](dir, kind string) (all []R, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, kind+"-*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths { // sorted by name, and so by time
		var r R
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is not a result of bench %s: %w", path, kind, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// Into puts a table into a document, in place of what is between two lines of it.
func Into(document, mark, table, end string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), mark)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table: write the lines %q and %q", document, mark, end)
	}
	return os.WriteFile(document, []byte(before+mark+table+end+after), 0o644)
}
