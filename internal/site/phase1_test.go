package site

import (
	"path/filepath"
	"testing"
)

func TestHelpers(t *testing.T) {
	for text, want := range map[string]Helpers{"": HelpersAuto, "phase1: {helpers: auto}\n": HelpersAuto, "phase1: {helpers: off}\n": HelpersOff} {
		dir := filepath.Join(t.TempDir(), "site")
		if err := Init(dir, "room"); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, ConfigFile), []byte("version: 1\n"+text))
		s, problems := Load(dir)
		if len(problems) > 0 || s.Helpers != want {
			t.Errorf("%q: %v, %v; want %s", text, s.Helpers, problems, want)
		}
	}
}
