package catalog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// largeSite is a catalog of 200 systems with descriptions and command lines as long as may be, and 100,000 files in all.
func largeSite(t *testing.T) (c *Catalog, files int) {
	t.Helper()
	c = &Catalog{Version: Version, Site: "large", Systems: []System{}}
	for i := range 200 {
		s := System{
			Name: fmt.Sprintf("system-%03d-%s", i, strings.Repeat("n", 50)), Title: strings.Repeat("t", MaxTitle),
			Description: strings.Repeat("words of a ", MaxDescription/11), Arch: "amd64", PieceLength: 1 << 20,
			Launch: Launch{Method: MethodKexec, Kexec: &Kexec{Kernel: "f0", Initrd: []string{"f1", "f2"}, Cmdline: strings.Repeat("c", MaxCmdline)}},
		}
		var list FileList
		for j := range 500 {
			list = append(list, File{fmt.Sprintf("f%d", j), int64(j), strings.Repeat("ab", 32)})
		}
		files += len(list)
		if _, err := s.SetFiles(list); err != nil {
			t.Fatal(err)
		}
		c.Systems = append(c.Systems, s)
	}
	return c, files
}

// A large site's catalog is no burden for nodes: the files are not in it.
func TestLargeSite(t *testing.T) {
	c, files := largeSite(t)
	document := mustEncode(t, c)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(document); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	t.Logf("%d systems with %d files: a catalog of %d bytes, compressed %d", len(c.Systems), files, len(document), packed.Len())
	if files != 100_000 || len(document) >= 1<<20 || len(c.Fit()) > 0 {
		t.Errorf("%d files, %d bytes; no room for %v", files, len(document), c.Fit())
	}
}

// What Encode lets pass Open takes: texts that Validate does not look at, too.
func TestEncodeRefusesWhatJSONWouldChange(t *testing.T) {
	for name, spoil := range map[string]func(*Catalog){
		"tracker": func(c *Catalog) { c.Trackers[0] = "http://\xff" },
		"display": func(c *Catalog) {
			c.Systems[0].Launch = Launch{Method: MethodQEMU, QEMU: &QEMU{Runtime: "qemu", VNCPassword: "\xff"}}
			c.Runtimes = []Runtime{{System: c.Systems[0]}}
			c.Runtimes[0].Name, c.Runtimes[0].Launch = "qemu", Launch{}
		},
		"method": func(c *Catalog) { c.Systems[0].Launch = Launch{Method: "vm\xff"} },
	} {
		c := example()
		spoil(c)
		if b, err := c.Encode(); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, p := range []string{"a/b", "../a", "a\xff", "a\\b", "\x1b[J", strings.Repeat("a", 300)} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if CheckPath(p) == nil && (!utf8.ValidString(p) || len(p) > MaxPath || strings.ContainsAny(p, "\x00\x1b\\\n")) {
			t.Errorf("accepts %q", p)
		}
	})
}
