package site

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// A migrated site is the same site.
func TestMigrate(t *testing.T) {
	for _, name := range []string{"original", "original-other", "original-comments"} {
		t.Run(name, func(t *testing.T) {
			dir, before := originalSite(t, name)
			source, err := os.ReadFile(filepath.Join(dir, OriginalFile))
			if err != nil {
				t.Fatal(err)
			}
			_, err = os.Lstat(filepath.Join(dir, SecretKeyFile))
			hadKeys := err == nil
			m, err := Migrate(dir)
			if err != nil {
				t.Fatal(err)
			}
			if m.File != filepath.Join(dir, ConfigFile) || m.KeysMade == hadKeys {
				t.Errorf("file %s, keys made: %v", m.File, m.KeysMade)
			}
			checkGolden(t, "migrated-"+name+".golden", m)
			after, problems := Load(dir)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			same(t, before, after)
			if !slices.ContainsFunc(after.Warnings, func(p Problem) bool {
				return filepath.Base(p.File) == OriginalFile && strings.Contains(p.What, "is no longer read")
			}) {
				t.Errorf("warnings %v", after.Warnings)
			}
			if now, err := os.ReadFile(filepath.Join(dir, OriginalFile)); err != nil || !bytes.Equal(now, source) {
				t.Errorf("Boottorrent.yaml is now %q, %v", now, err)
			}
		})
	}
}

// checkGolden compares the file that was written and what is said of it.
func checkGolden(t *testing.T, name string, m *Migration) {
	t.Helper()
	got, err := os.ReadFile(m.File)
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	for _, c := range m.Changes {
		got = fmt.Appendf(got, "%d | %s: %s | %s | %s\n", c.At.Line, c.Key, c.Value, c.Now, c.Lost)
	}
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v\n%s\nwant\n%s", golden, err, got, want)
	}
}

// What can't be migrated stays as it is.
func TestMigrateRefuses(t *testing.T) {
	dir, _ := originalSite(t, "original")
	config := filepath.Join(dir, ConfigFile)

	edit(t, filepath.Join(dir, "oss/linuxos/config.yaml"), "", "kernel", "kernel: /bzImage")
	_, err := Migrate(dir)
	if problems := (Problems)(nil); !errors.As(err, &problems) || len(problems) != 2 || !strings.Contains(err.Error(), "kernel /bzImage leaves") {
		t.Errorf("with a path that version 1 doesn't take: %v", err)
	}
	if err == nil || !strings.Contains(err.Error(), "The original took these, and version 1 doesn't. Change them as said") {
		t.Errorf("a site that is in order as an original's is refused with %v", err)
	}
	edit(t, filepath.Join(dir, "oss/linuxos/config.yaml"), "", "kernel", "kernel: gone")
	if _, err := Migrate(dir); !errors.As(err, new(Problems)) {
		t.Errorf("with a problem: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("after problems there are %v, %v", entries, err)
	}

	write(t, config, []byte("mine"))
	if _, err := Migrate(dir); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("with a boottorrent.yaml: %v", err)
	}
	if body, err := os.ReadFile(config); err != nil || string(body) != "mine" {
		t.Errorf("it is now %q, %v", body, err)
	}
	if _, err := Migrate(t.TempDir()); !errors.As(err, new(Problems)) {
		t.Errorf("without a site: %v", err)
	}
}

// FuzzOriginal reads any bytes as Boottorrent.yaml. Each problem has its place, and says what is wrong and what to do; without a
// problem, the migrated configuration is the same.
func FuzzOriginal(f *testing.F) {
	for _, name := range []string{"original", "original-other", "original-comments", "original-wrong", "original-discovery"} {
		a, err := txtar.ParseFile("testdata/" + name + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(section(a, OriginalFile)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &checker{dir: "site", original: true}
		m := parseDocument(c, "site/"+OriginalFile, body)
		if m == nil {
			return
		}
		before, err := emptySite("site")
		if err != nil {
			t.Fatal(err)
		}
		before.Original = true
		doc, defaultSystem := readOriginal(m, before)
		for _, p := range append(c.problems, c.warnings...) {
			if p.File == "" || p.Line < 1 || p.Col < 1 || p.What == "" || p.Do == "" {
				t.Errorf("incomplete problem: %#v", p)
			}
		}
		if len(c.problems) > 0 || defaultSystem.value == "" {
			return
		}
		config := doc.Text(doc.Comments(body))
		c = &checker{dir: "site"}
		after, err := emptySite("site")
		if err != nil {
			t.Fatal(err)
		}
		if m = parseDocument(c, "site/"+ConfigFile, []byte(config)); m != nil {
			readConfig(m, after)
		}
		if len(c.problems) > 0 {
			t.Fatalf("%v in\n%s", c.problems, config)
		}
		same(t, before, after)
	})
}
