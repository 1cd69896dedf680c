package kept

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	if got, err := Read[int](dir, "x"); err != nil || got != nil {
		t.Errorf("of no folder: %v, %v", got, err)
	}
	day := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for i, at := range []time.Time{day.Add(time.Hour), day} {
		if _, err := Write(dir, "x", at, i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Write(dir, "other", day, 7); err != nil {
		t.Fatal(err)
	}
	if got, err := Read[int](dir, "x"); err != nil || !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v, %v; want the older one first, and no other kind", got, err)
	}
	broken := filepath.Join(dir, "x-0.json")
	if err := os.WriteFile(broken, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read[int](dir, "x"); err == nil || !strings.Contains(err.Error(), broken+" is not a result of bench x") {
		t.Errorf("of a broken file: %v", err)
	}
}

func TestInto(t *testing.T) {
	document := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(document, []byte("before\n<!-- begin -->\nold\n<!-- end -->\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Into(document, "<!-- begin -->\n", "| new |\n", "<!-- end -->\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(document); err != nil || string(got) != "before\n<!-- begin -->\n| new |\n<!-- end -->\nafter\n" {
		t.Errorf("%q, %v", got, err)
	}
	if err := Into(document, "<!-- other -->\n", "", "<!-- end -->\n"); err == nil || !strings.Contains(err.Error(), "has no place for the table") {
		t.Errorf("without a place: %v", err)
	}
}
