package catalog

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFilesRoundTrip(t *testing.T) {
	var s System
	document, err := s.SetFiles(exampleFiles())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`[{"path":"vmlinuz","size":5,"sha256":"%s"}
,{"path":"a/initrd","size":7,"sha256":"%s"}
]
`, strings.Repeat("ab", 32), strings.Repeat("cd", 32))
	if string(document) != want {
		t.Errorf("got  %s\nwant %s", document, want)
	}
	got, err := s.OpenFiles(document)
	if err != nil || !reflect.DeepEqual(got, exampleFiles()) || s.Size != 12 || s.List.Files != 2 {
		t.Errorf("opened %v, %v of %+v", got, err, s)
	}
}

func TestOpenFilesRefuses(t *testing.T) {
	s := example().Systems[0]
	document, err := s.SetFiles(exampleFiles())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(s *System, document []byte) []byte
		want  string
	}{
		"another list":     {func(_ *System, b []byte) []byte { return bytes.Replace(b, []byte("5"), []byte("6"), 1) }, "the catalog says " + s.List.SHA256},
		"nothing":          {func(*System, []byte) []byte { return nil }, "its SHA-256 is"},
		"another count":    {func(s *System, b []byte) []byte { s.List.Files++; return b }, "it has 2 files, the catalog says 3"},
		"another size":     {func(s *System, b []byte) []byte { s.Size++; return b }, "the catalog says 13"},
		"a kernel missing": {func(s *System, b []byte) []byte { s.Launch.Kexec.Kernel = "bzImage"; return b }, `"bzImage" is not among its files`},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := s, *s.Launch.Kexec
			s.Launch.Kexec = &k
			if _, err := s.OpenFiles(c.spoil(&s, document)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// What a list can't have is refused by the side that makes it, with the reason, before a node does.
func TestFileListLimits(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	one := func(path string) FileList { return FileList{{path, 1, sum}} }
	many := func(n int, path string) (l FileList) {
		for i := range n {
			l = append(l, File{fmt.Sprintf(path, i), 1, sum})
		}
		return l
	}
	deep := strings.Repeat(strings.Repeat("d", 127)+"/", 16)[:MaxPath-1] // of names that are short enough
	for name, c := range map[string]struct {
		list FileList
		want string // empty: valid
	}{
		"none":                      {nil, "there are 0 files"},
		"the most":                  {many(MaxFiles, "f%d"), ""},
		"one more":                  {many(MaxFiles+1, "f%d"), "100001 files"},
		"a list too long":           {many(MaxFiles, strings.Repeat("p", 250)+"/%d"), "nodes read 33554432"},
		"the longest name":          {one(strings.Repeat("ü", 127) + "n"), ""},
		"a name too long":           {one(strings.Repeat("ü", 128)), "has 256 bytes, and file systems take 255"},
		"the longest path":          {one(deep + "f"), ""},
		"a path too long":           {one(deep + "ff"), "has 2049 bytes"},
		"no UTF-8":                  {one("a\xff"), "is not UTF-8"},
		"two names of no UTF-8":     {FileList{{"a\xfe", 1, sum}, {"a\xff", 1, sum}}, "is not UTF-8"},
		"a line end":                {one("a\nb"), "control character"},
		"an escape sequence":        {one("a\x1b[2J"), "control character"},
		"a backslash":               {one(`a\b`), "backslash"},
		"it leaves":                 {one("../a"), "leaves the system's folder"},
		"not clean":                 {one("a//b"), "not clean"},
		"absolute":                  {one("/a"), "leaves the system's folder"},
		"twice":                     {append(one("a"), one("a")...), "listed twice"},
		"a file and a folder":       {append(one("a"), one("a/b")...), "both a file and a folder"},
		"negative":                  {FileList{{"a", -5, sum}}, "impossible size"},
		"beyond all bytes":          {FileList{{"a", MaxSize, sum}, {"b", 1, sum}}, "impossible size"},
		"no sum":                    {FileList{{"a", 1, "beef"}}, "not a SHA-256"},
		"names that differ by case": {append(one("README"), one("readme")...), ""},
		// The same letter by one code point and by two (Unicode normal forms C and D): two files on Linux.
		"names that differ by normal form": {append(one("\u00fc"), one("u\u0308")...), ""},
		"what means something in a URL":    {append(append(one("50%"), one("a?b")...), one("c#d&e=f;g+h i")...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var s System
			document, err := s.SetFiles(c.list)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error is %v, want %q", err, c.want)
			}
			if err == nil {
				if got, err := s.OpenFiles(document); err != nil || !reflect.DeepEqual(got, c.list) {
					t.Errorf("a node refuses it: %v", err)
				}
			}
		})
	}
}

// kexec_file_load(2) reads an initrd of 4 GiB at most, so those that are joined are no more together.
func TestInitrdLimit(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for size, want := range map[int64]string{1 << 30: "", 3 << 30: "3 GiB"} {
		s := System{Name: "big", Launch: Launch{Method: MethodKexec, Kexec: &Kexec{Kernel: "k", Initrd: []string{"a", "b"}}}}
		_, err := s.SetFiles(FileList{{"k", 1, sum}, {"a", size, sum}, {"b", size, sum}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "initrds a, b have 6442450950 bytes together")) {
			t.Errorf("two initrds of %d bytes: %v", size, err)
		}
	}
}

// FuzzOpenFiles looks for a list that is accepted and still holds what a node must not use.
func FuzzOpenFiles(f *testing.F) {
	document, err := new(System).SetFiles(exampleFiles())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add([]byte(`[{"path":"../a","size":1}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeFiles(b)
		if err != nil {
			return
		}
		for _, file := range l {
			if !filepath.IsLocal(file.Path) || file.Size < 0 {
				t.Errorf("%+v", file)
			}
		}
		if _, err := l.Encode(); err != nil {
			t.Errorf("what was opened can't be encoded: %v", err)
		}
	})
}
