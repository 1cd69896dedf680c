package site

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The examples of docs/machines.md are sites but for the systems that they speak of.
func TestExamplesOfMachines(t *testing.T) {
	page, err := os.ReadFile("../../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) < 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		text := strings.NewReplacer("$2y$10$…", "$2y$10$abcdefghijklmnopqrstuuWzYxLmNoPqRsTuVwXyZ0123456789ab",
			"AAAA…", "AAAAC3NzaC1lZDI1NTE5AAAAIJKm0hE3GJ4d6vJ2kQW0z1T3fXlJc0mMZc5n1mY2kF0x").Replace(e[1])
		dir := filepath.Join(t.TempDir(), "site")
		if err := Init(dir, "room"); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, ConfigFile), []byte("version: 1\narch: [amd64, arm64]\ndhcp: {mode: server, range: {first: 10.1.1.100, last: 10.1.1.199}}\n"+text))
		s, problems := Load(dir)
		if len(problems) > 0 {
			t.Errorf("%v\n%s", problems, text)
			continue
		}
		for _, p := range s.Problems {
			if !strings.Contains(p.What, "does not exist") {
				t.Error(p)
			}
		}
		for _, w := range s.Warnings {
			if !strings.Contains(w.What, "no systems yet") {
				t.Error(w)
			}
		}
		if len(s.Groups) < 4 {
			t.Errorf("%d groups", len(s.Groups))
		}
	}
}
