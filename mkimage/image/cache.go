package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keep is how many parts the cache holds; each has some 5 MB.
const keep = 16

// cache keeps parts in a folder: KEY.stream, the stream, and KEY.json, the Part. A part that is not whole is no part.
type cache struct{ dir string }

// part returns the part of a key, which it makes if it isn't there.
func (c cache) part(name, key string, make func() (*Part, error)) (*Part, error) {
	if p, err := c.get(key); err == nil && p.Name == name {
		return p, nil
	}
	p, err := make()
	if err != nil {
		return nil, err
	}
	if err := c.put(key, p); err != nil {
		return nil, fmt.Errorf("keep the %s in the cache: %w; give another with --cache DIR", name, err)
	}
	return p, nil
}

func (c cache) get(key string) (*Part, error) {
	file := filepath.Join(c.dir, key+".json")
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := &Part{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, err
	}
	if p.stream, err = os.ReadFile(filepath.Join(c.dir, key+".stream")); err != nil {
		return nil, err
	}
	if hash(string(p.stream)) != p.SHA256 {
		return nil, errors.New("the stream is damaged")
	}
	now := time.Now()
	return p, os.Chtimes(file, now, now)
}

// put writes the stream first: the other file says that it is there.
func (c cache) put(key string, p *Part) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(c.dir, key+".stream"), p.stream); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(c.dir, key+".json"), b); err != nil {
		return err
	}
	return c.prune()
}

// prune removes what was not used for the longest time.
func (c cache) prune() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type part struct {
		key  string
		used time.Time
	}
	var parts []part
	for _, e := range entries {
		info, err := e.Info()
		if key, ok := strings.CutSuffix(e.Name(), ".json"); ok && err == nil {
			parts = append(parts, part{key, info.ModTime()})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.key, b.key)) })
	for _, p := range parts[min(keep, len(parts)):] {
		for _, ending := range []string{".json", ".stream"} {
			if err := os.Remove(filepath.Join(c.dir, p.key+ending)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// writeFile writes a file so that it is there whole or not at all.
func writeFile(path string, content []byte) error {
	temp, err := writeTemp(path, content)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

// writeTemp writes content to a file beside path and returns its name.
func writeTemp(path string, content []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
