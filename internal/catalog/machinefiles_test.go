package catalog

import (
	"fmt"
	"strings"
	"testing"
)

func TestFilesFor(t *testing.T) {
	c := Catalog{}
	for _, name := range []string{"desk-1", "teachers", "all", "pupils"} {
		c.Files = append(c.Files, Files{For: name})
	}
	for _, tt := range []struct{ group, machine, want string }{
		{"teachers", "desk-1", "all teachers desk-1"},
		{"all", "desk-1", "all desk-1"},
		{"", "", "all"},
		{"pupils", "none", "all pupils"},
		{"pupils", "pupils", "all pupils"},
		{"pupils", "all", "all pupils"},
	} {
		var got []string
		for _, f := range c.FilesFor(tt.group, tt.machine) {
			got = append(got, f.For)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("group %q, machine %q: %v, want %s", tt.group, tt.machine, got, tt.want)
		}
	}
}

func TestFilesAreValidated(t *testing.T) {
	sum := strings.Repeat("0", 64)
	many := func(n int, size int64) (all []Files) {
		for i := range n {
			all = append(all, Files{fmt.Sprint("m", i), sum, size})
		}
		return all
	}
	for _, tt := range []struct {
		files []Files
		want  string
	}{
		{many(3, MaxFileTree), ""},
		{many(MaxFileTrees, 1), ""},
		{many(MaxFileTrees+1, 1), "there are 1001 trees"},
		{many(9, MaxFileTree), "75497472 bytes together"},
		{[]Files{{"a", sum, 1}, {"a", sum, 1}}, `"a" are listed twice`},
		{[]Files{{"a/b", sum, 1}}, "not a plain folder name"},
		{[]Files{{"a", "x", 1}}, "not a SHA-256"},
		{[]Files{{"a", sum, 0}}, "have 0 bytes"},
		{[]Files{{"a", sum, MaxFileTree + 1}}, "nodes read 8388608"},
	} {
		c := Catalog{Version: Version, Site: "room", Files: tt.files}
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%d files: %v, want %q", len(tt.files), err, tt.want)
		}
	}
}

func TestUnknownPlaceholder(t *testing.T) {
	for text, want := range map[string]int{"{{.IP}} {{ .MAC }}": -1, "a {{.IP}}\n{{.Typo}} {{.IP}}": 10, "{{}}": 0, "{{ a b }} {{": -1} {
		at, err := UnknownPlaceholder(text)
		if err == nil {
			at = -1
		}
		if at != want {
			t.Errorf("%q: %d, %v, want %d", text, at, err, want)
		}
	}
}
