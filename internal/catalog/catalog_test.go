package catalog

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/need"
)

// example is a catalog with every field set.
func example() *Catalog {
	s := System{
		Name: "tiny", Title: "Tiny <Linux> & more", Description: "proves a boot", Hidden: true, Arch: "amd64",
		Launch:   Launch{Method: MethodKexec, Kexec: &Kexec{Kernel: "vmlinuz", Initrd: []string{"a/initrd"}, Cmdline: "quiet"}},
		InfoHash: InfoHash{1, 2, 3}, PieceLength: 1 << 18, Zeros: 2,
	}
	if _, err := s.SetFiles(exampleFiles()); err != nil {
		panic(err)
	}
	return &Catalog{
		Version: Version, Site: "lab", Created: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC),
		Counter:  1795420800,
		Defaults: Defaults{System: "tiny", Timeout: 10, SeedTime: 30},
		Trackers: []string{"http://10.0.0.1:8080/announce"}, HTTP: []string{"http://10.0.0.1:8080"},
		Systems: []System{s},
	}
}

// exampleFiles are those of the example's system.
func exampleFiles() FileList {
	return FileList{{"vmlinuz", 5, strings.Repeat("ab", 32)}, {"a/initrd", 7, strings.Repeat("cd", 32)}}
}

func newKey(t testing.TB) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func mustEncode(t testing.TB, c *Catalog) []byte {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	public, private := newKey(t)
	document := mustEncode(t, example())
	got, err := Open(public, document, Sign(private, document))
	if err != nil {
		t.Fatal(err)
	}
	if want := example(); !reflect.DeepEqual(got, want) {
		t.Errorf("what was opened differs from what was encoded:\n%+v\n%+v", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	public, private := newKey(t)
	_, other := newKey(t)
	document := mustEncode(t, example())
	flipped := []byte(strings.Replace(string(document), "quiet", "quIet", 1))
	future := []byte(strings.Replace(string(document), `"version": 2`, `"version": 3`, 1))
	for _, c := range []struct {
		name                string
		document, signature []byte
		want                string
		isSignature         bool
	}{
		{"another key", document, Sign(other, document), "only key", true},
		{"a changed document", flipped, Sign(private, document), "changed after it was signed", true},
		{"no signature at all", document, []byte("<html>404</html>"), "not a minisign signature", true},
		{"an empty signature", document, nil, "not a minisign signature", true},
		{"a newer format", future, Sign(private, future), "version 3", false},
		{"signed nonsense", []byte("nonsense"), Sign(private, []byte("nonsense")), "decode catalog", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(public, c.document, c.signature)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
			if errors.Is(err, ErrSignature) != c.isSignature {
				t.Errorf("%v: is ErrSignature: %v, want %v", err, !c.isSignature, c.isSignature)
			}
		})
	}
}

// The minisign tool is the referee: a signature file of ours is one of its own.
func TestMinisignToolVerifies(t *testing.T) {
	tool := need.Command(t, "minisign", "minisign")
	public, private := newKey(t)
	manifest, err := exampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, signed := range map[string]struct{ document, signature []byte }{
		"catalog.json": {mustEncode(t, example()), Sign(private, mustEncode(t, example()))}, "manifest.json": {manifest, SignManifest(private, manifest)},
	} {
		verify := func(document []byte) (string, error) {
			path := filepath.Join(t.TempDir(), name)
			if err := errors.Join(os.WriteFile(path, document, 0o600), os.WriteFile(path+".minisig", signed.signature, 0o600)); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tool, "-V", "-P", public.String(), "-m", path).CombinedOutput()
			return string(out), err
		}
		if out, err := verify(signed.document); err != nil {
			t.Errorf("%s: minisign refuses our signature: %v\n%s", name, err, out)
		}
		if out, err := verify(append(signed.document, ' ')); err == nil {
			t.Errorf("%s: minisign accepts a changed document:\n%s", name, out)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Catalog)
		want  string // empty: valid
	}{
		{"as it is", func(*Catalog) {}, ""},
		{"a method of a later release", func(c *Catalog) { c.Systems[0].Launch = Launch{Method: "vm"} }, ""},
		{"default missing", func(c *Catalog) { c.Defaults.System = "big" }, `the default system "big"`},
		{"name twice", func(c *Catalog) { c.Systems = append(c.Systems, c.Systems[0]) }, "listed twice"},
		{"name with a slash", func(c *Catalog) { c.Systems[0].Name = "../etc"; c.Defaults.System = "" }, "plain folder name"},
		{"path leaves", func(c *Catalog) { c.Systems[0].Launch.Kexec.Kernel = "../vmlinuz" }, "leaves the system's folder"},
		{"negative size", func(c *Catalog) { c.Systems[0].Size = -5 }, "its size is -5"},
		{"more zeros than bytes", func(c *Catalog) { c.Systems[0].Zeros = 13 }, "13 of its 12 bytes"},
		{"hash", func(c *Catalog) { c.Systems[0].List.SHA256 = "beef" }, "not the SHA-256"},
		{"no files", func(c *Catalog) { c.Systems[0].List.Files = 0 }, "it has 0 files"},
		{"too many files", func(c *Catalog) { c.Systems[0].List.Files = MaxFiles + 1 }, "100001 files"},
		{"name too long", func(c *Catalog) { c.Systems[0].Name = strings.Repeat("n", 256); c.Defaults.System = "" }, "has 256 bytes"},
		{"name no UTF-8", func(c *Catalog) { c.Systems[0].Name = "a\xff"; c.Defaults.System = "" }, "is not UTF-8"},
		{"title no UTF-8", func(c *Catalog) { c.Systems[0].Title = "a\xff" }, "the title \"a\\xff\" is not UTF-8"},
		{"title with an escape sequence", func(c *Catalog) { c.Systems[0].Title = "\x1b[2J" }, "control character"},
		{"title with an 8-bit escape", func(c *Catalog) { c.Systems[0].Title = "\u009b2J" }, "control character"},
		{"description of two lines", func(c *Catalog) { c.Systems[0].Description = "a\nb" }, ""},
		{"description with a bell", func(c *Catalog) { c.Systems[0].Description = "a\a" }, "control character"},
		{"site with a line end", func(c *Catalog) { c.Site = "lab\n" }, "control character"},
		{"longest command line", func(c *Catalog) { c.Systems[0].Launch.Kexec.Cmdline = strings.Repeat("c", MaxCmdline) }, ""},
		{"command line too long", func(c *Catalog) { c.Systems[0].Launch.Kexec.Cmdline = strings.Repeat("c", MaxCmdline+1) }, "the command line has 2017 bytes"},
		{"too many initrds", func(c *Catalog) { c.Systems[0].Launch.Kexec.Initrd = slices.Repeat([]string{"i"}, 65) }, "it has 65 initrds"},
		{"an argument that is no UTF-8", func(c *Catalog) { c.Systems[0].Launch = Launch{Method: MethodBin, Bin: &Bin{"p", []string{"\xfe"}}} }, "is not UTF-8"},
		{"an entry too large", func(c *Catalog) {
			c.Systems[0].Launch = Launch{Method: MethodBin, Bin: &Bin{"p", []string{strings.Repeat("a", MaxEntry)}}}
		}, "bytes of the catalog"},
		{"pieces", func(c *Catalog) { c.Systems[0].PieceLength = 0 }, "piece length 0"},
		{"no arguments", func(c *Catalog) { c.Systems[0].Launch.Kexec = nil }, "without its arguments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := example()
			c.spoil(cat)
			err := cat.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"MAC": "52:54:00:00:00:01", "IP": "10.0.0.7"}
	for _, c := range []struct{ in, want, bad string }{
		{"quiet mac={{.MAC}} ip={{ .IP }}", "quiet mac=52:54:00:00:00:01 ip=10.0.0.7", ""},
		{"{{MAC}}{{.DNS}}", "52:54:00:00:00:01", ""},
		{"a={b} {c", "a={b} {c", ""},
		{"{{.Mac}} {{.IP}}", "", "{{.Mac}}"},
	} {
		got, err := Expand(c.in, vars)
		if got != c.want || (err == nil) != (c.bad == "") {
			t.Errorf("Expand(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
		if c.bad != "" && !strings.Contains(err.Error(), "unknown placeholder "+c.bad+";") {
			t.Errorf("Expand(%q): %v does not name %s", c.in, err, c.bad)
		}
	}
}

// Longest is what the longest values make of a text.
func TestLongest(t *testing.T) {
	vars := map[string]string{}
	for name := range Placeholders {
		if longest[name] == 0 {
			t.Errorf("the longest %s is not known", name)
		}
		vars[name] = strings.Repeat("x", longest[name])
	}
	if len(longest) != len(Placeholders) {
		t.Errorf("%d placeholders, the lengths of %d", len(Placeholders), len(longest))
	}
	for _, text := range []string{"", "quiet", "a={{.MAC}} b={{ .HTTP }}{{IP}}"} {
		if long, err := Expand(text, vars); err != nil || Longest(text) != len(long) {
			t.Errorf("%q: %d, want %d (%v)", text, Longest(text), len(long), err)
		}
	}
	s := System{Name: strings.Repeat("n", 64)}
	if url := "http://255.255.255.255:65535" + s.FilePath(""); len(strings.TrimSuffix(url, "/")) != longest["HTTP"] {
		t.Errorf("%s has %d bytes, want %d", url, len(url)-1, longest["HTTP"])
	}
}

func TestFilePathIsEscaped(t *testing.T) {
	s := System{Name: "my os", InfoHash: InfoHash{0xff}}
	want := "/systems/ff" + strings.Repeat("00", 19) + "/my%20os/a%3Fb/c%25.img"
	if got := s.FilePath("a?b/c%.img"); got != want {
		t.Errorf("FilePath = %s, want %s", got, want)
	}
}

// FuzzOpen looks for a document or signature that makes Open panic, or that it accepts without the key.
func FuzzOpen(f *testing.F) {
	public, private := newKey(f)
	document := mustEncode(f, example())
	signature := Sign(private, document)
	f.Add(document, signature)
	f.Add([]byte("{}"), []byte("untrusted comment: x\n"))
	f.Fuzz(func(t *testing.T, d, s []byte) {
		if cat, err := Open(public, d, s); err == nil && string(d) != string(document) {
			t.Errorf("accepted %q: %v", d, cat)
		}
	})
}

// FuzzDecode looks for a document that passes validation and still holds what a node must not use.
func FuzzDecode(f *testing.F) {
	f.Add(mustEncode(f, example()))
	f.Fuzz(func(t *testing.T, d []byte) {
		cat, err := decode(d)
		if err != nil {
			return
		}
		for _, s := range cat.Systems {
			if !filepath.IsLocal(s.Name) {
				t.Errorf("name %q leaves its folder", s.Name)
			}
			if _, err := cat.Encode(); err != nil {
				t.Errorf("what was opened can't be encoded: %v", err)
			}
			if s.Launch.Method == MethodKexec && s.Launch.Kexec == nil {
				t.Error("kexec without arguments")
			}
		}
	})
}
