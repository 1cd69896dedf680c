package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// The table has the newest result of each load, and stands between the lines of the document.
func TestTable(t *testing.T) {
	dir, at := t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, r := range []Result{
		{Nodes: 100, Announces: []Announce{{Known: 100, PerSecond: 1000, CPU: 90}, {Kept: true, Known: 100, PerSecond: 2000}}},
		{Nodes: 100, Announces: []Announce{{Known: 100, PerSecond: 1500, CPU: 70}}},
		{Nodes: 100, Reports: []Reports{{To: "mirror", Listed: 100, Every: 5, Seeder: Used{10, 50}, Mirror: Used{40, 80}}, {To: "seeder", Listed: 99, Every: 5}}},
	} {
		if _, err := kept.Write(dir, kind, at.Add(time.Duration(i)*time.Second), r); err != nil {
			t.Fatal(err)
		}
	}
	doc := filepath.Join(dir, "doc.md")
	if err := os.WriteFile(doc, []byte("before\n"+mark+"old\n"+end+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, doc); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{"a new connection each | 100 | 1500 | 70": 1, "on kept connections | 100 | 2000": 1, "| 1000 |": 0, "| the mirror | 100, 5 |": 1, "| 10, 50 | 40, 80 |": 1, "| the seeder | 99, 5 |": 1, "old": 0, end + "after\n": 1} {
		if strings.Count(string(text), want) != n {
			t.Errorf("%q is not there %d times:\n%s", want, n, text)
		}
	}
}

func TestLatencies(t *testing.T) {
	l := latencies{3 * time.Millisecond, time.Millisecond, 20 * time.Millisecond}
	if got := l.took(); got != (Took{3, 20}) {
		t.Errorf("%+v", got)
	}
	if got := (latencies{}).took(); got != (Took{}) {
		t.Errorf("of none: %+v", got)
	}
}
