package kinds

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of kinds into the documentation")

// list is the list of kinds as the documentation has it.
func list() string {
	var b strings.Builder
	b.WriteString("| source | for example | becomes |\n|---|---|---|\n")
	for _, k := range All() {
		e := k.Example()
		fmt.Fprintf(&b, "| %s | `mkimage import %s` | %s |\n", k.Name(), e.Source, e.Becomes)
	}
	return b.String()
}

// The documentation lists every kind with its example.
func TestDocumented(t *testing.T) {
	const file, begin, end = "../../../docs/import.md", "with -update -->\n", "<!-- end of kinds -->"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the list of kinds", file)
	}
	want := before + begin + list() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s does not list what there is; run this test with -update", file)
	}
}

func TestExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range All() {
		e := k.Example()
		if k.Name() == "" || e.Source == "" || e.Becomes == "" || !strings.Contains(e.Source, " DIR/oss/") || strings.HasSuffix(e.Becomes, ".") || seen[k.Name()] {
			t.Errorf("%q: %+v", k.Name(), e)
		}
		seen[k.Name()] = true
	}
}
