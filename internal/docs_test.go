package internal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	links    = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// unslugged is what a heading's anchor has not, as GitHub makes it.
	unslugged = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Links from page to page lead somewhere, README's to the index of docs among them, and the index has every page.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	if !strings.Contains(read(t, "../README.md"), "](docs/README.md)") {
		t.Error("README.md has no link to docs/README.md")
	}
	index := read(t, "../docs/README.md")
	for _, page := range pages {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md has no link to %s", name)
		}
	}
	for _, page := range append(pages, "../README.md", "../ARCHITECTURE.md") {
		for _, link := range links.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, link[0])
			} else if link[2] != "" && !anchors(read(t, target))[link[2]] {
				t.Errorf("%s: %s: %s has no such heading", page, link[0], target)
			}
		}
	}
}

// anchors are those of a page's headings.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, h := range headings.FindAllStringSubmatch(page, -1) {
		found[strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
