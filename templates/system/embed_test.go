package systemfile

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write the golden file anew")

// hard are texts that YAML reads as something else, or not at all, unless they are quoted.
var hard = []string{
	"plain words", "yes", "No", "null", "~", "12", "1e3", "0x1f", "- x", "a: b", "a #b", "#x", "'", `"`, `a\b`, "{{.MAC}}", "[x]", "{x}", "*x", "&x", "!x", "|", ">", "%x",
	"@x", "`x", "ends with a space ", " begins with one", "Ünïcödé", "日本語", "=", "<<", "a,b", "-", "--- quiet", ".inf", "2024-01-01", "true", "on", "",
}

func TestConfig(t *testing.T) {
	got, err := Config(System{
		Head: "First.\nSecond " + strings.Repeat("word ", 40), Title: "A title: \"quoted\"", Description: "One line", Arch: "arm64", Method: "root",
		Keys: []Key{
			{Name: "root", Values: []string{"a.squashfs", "10-b.squashfs"}, Comment: "Two layers."}, {Name: "kernel", Values: []string{"vmlinuz"}},
			{Name: "writable_limit", Comment: "Nothing is said."}, {Name: "hard", Values: hard},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/config.yaml"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var read struct {
		Title  string   `yaml:"dispname"`
		Method string   `yaml:"method"`
		Root   []string `yaml:"root"`
		Kernel string   `yaml:"kernel"`
		Hard   []string `yaml:"hard"`
	}
	if err := yaml.Unmarshal(got, &read); err != nil {
		t.Fatal(err)
	}
	if read.Title != "A title: \"quoted\"" || read.Method != "root" || read.Kernel != "vmlinuz" || !reflect.DeepEqual(read.Root, []string{"a.squashfs", "10-b.squashfs"}) {
		t.Errorf("%+v", read)
	}
	for i, h := range hard {
		if read.Hard[i] != h {
			t.Errorf("%q is read as %q", h, read.Hard[i])
		}
	}
	for line := range strings.Lines(string(got)) {
		if strings.HasPrefix(line, "#") && len(line) > width+1 {
			t.Errorf("%q is long", line)
		}
	}
}
