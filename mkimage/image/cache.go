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

	"github.com/boottorrent/boottorrent/internal/atomicfile"
)

// keep is how many parts the cache holds; each has 4 to 12 MB.
const keep = 24

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

// stream is part for what is no part of the initramfs: one stream of bytes.
func (c cache) stream(name, key string, make func() ([]byte, error)) ([]byte, error) {
	p, err := c.part(name, key, func() (*Part, error) {
		b, err := make()
		return &Part{Name: name, Size: int64(len(b)), SHA256: hash(string(b)), stream: b}, err
	})
	if err != nil {
		return nil, err
	}
	return p.stream, nil
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
	if err := atomicfile.Write(filepath.Join(c.dir, key+".stream"), p.stream, 0o644); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(c.dir, key+".json"), b, 0o644); err != nil {
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
