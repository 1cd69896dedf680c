package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"
)

// Config is a config.yaml that says of a system all that its own and the one it comes with say, but not where its files come from: for who
// gets the files beside it.
func (s *System) Config() ([]byte, error) {
	own, err := os.ReadFile(filepath.Join(s.Dir, SystemFile))
	if err != nil {
		return nil, err
	}
	if len(s.From) == 0 {
		return own, nil
	}
	documents := [][]byte{own}
	for _, o := range s.From {
		if o.Path == SystemFile {
			base, err := os.ReadFile(filepath.Join(s.Fetched, o.SHA256))
			if err != nil {
				return nil, err
			}
			documents = append(documents, base)
		}
	}
	var keys yaml.MapSlice
	for _, d := range documents {
		var more yaml.MapSlice
		if err := yaml.Unmarshal(d, &more); err != nil {
			return nil, errors.New("the system's " + SystemFile + " can't be read; see what check says of it")
		}
		for _, item := range more {
			known := slices.ContainsFunc(keys, func(k yaml.MapItem) bool { return k.Key == item.Key })
			if item.Key != "from" && item.Value != nil && !known {
				keys = append(keys, item)
			}
		}
	}
	body, err := yaml.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("write %s of system %s: %w", SystemFile, s.Name, err)
	}
	return body, nil
}
