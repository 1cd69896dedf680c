package tree

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// e is an entry of an archive for tests: a file with content unless kind says otherwise.
type e struct {
	name, content string
	kind          byte
	link          string
	change        func(*tar.Header)
}

// made is a tar.
func made(t testing.TB, entries ...e) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o644, ModTime: time.Unix(1e9, 0), Size: int64(len(e.content))}
		if e.kind == tar.TypeDir {
			h.Mode = 0o755
		}
		if e.change != nil {
			e.change(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// layer is a layer of bytes.
func layer(b []byte) Layer {
	return Layer{Name: "layer", Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// listing is a tree with the contents of its files, a line each, without the root folder.
func listing(t testing.TB, tree *Tree) string {
	t.Helper()
	contents := map[*Node]string{}
	err := tree.bytes.each(t.Context(), func(n *Node, r io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(r, n.Size))
		contents[n] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = tree.each(func(name string, n *Node) error {
		switch {
		case name == ".":
		case n.Mode.IsDir():
			fmt.Fprintf(&b, "%s/ ", name)
		case n.Mode.Type() == fs.ModeSymlink:
			fmt.Fprintf(&b, "%s>%s ", name, n.Link)
		default:
			fmt.Fprintf(&b, "%s=%s ", name, contents[n])
		}
		return nil
	})
	return strings.TrimSpace(b.String())
}

const (
	dir     = tar.TypeDir
	symlink = tar.TypeSymlink
	hard    = tar.TypeLink
)

// Names and links of an archive are carried out in the tree alone, and lead nowhere else.
func TestReadLayers(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []e
		want    string
	}{
		{"plain", []e{{name: "./", kind: dir}, {name: "./a/", kind: dir}, {name: "./a/b", content: "1"}}, "a/ a/b=1"},
		{"absolute names are names in the root", []e{{name: "/a/b", content: "1"}, {name: "/c", kind: hard, link: "/a/b"}}, "a/ a/b=1 c=1"},
		{"parents are made", []e{{name: "a/b/c", content: "1"}}, "a/ a/b/ a/b/c=1"},
		{"through a link to a folder", []e{{name: "usr/lib/", kind: dir}, {name: "lib", kind: symlink, link: "usr/lib"}, {name: "lib/x", content: "1"}}, "lib>usr/lib usr/ usr/lib/ usr/lib/x=1"},
		{"through an absolute link", []e{{name: "x", kind: symlink, link: "/etc"}, {name: "x/passwd", content: "1"}}, "etc/ etc/passwd=1 x>/etc"},
		{"through a link that leads above the root", []e{{name: "x", kind: symlink, link: "../../../tmp"}, {name: "x/y", content: "1"}}, "tmp/ tmp/y=1 x>../../../tmp"},
		{"a link itself is replaced", []e{{name: "x", kind: symlink, link: "/etc/passwd"}, {name: "x", content: "1"}}, "x=1"},
		{"the last of a name counts", []e{{name: "a", content: "1"}, {name: "a", content: "22"}}, "a=22"},
		{"a folder that comes again keeps its files", []e{{name: "a/", kind: dir}, {name: "a/b", content: "1"}, {name: "a/", kind: dir}}, "a/ a/b=1"},
		{"a file instead of a folder", []e{{name: "a/b", content: "1"}, {name: "a", content: "2"}}, "a=2"},
		{"a folder instead of a link", []e{{name: "u/x", content: "1"}, {name: "a", kind: symlink, link: "u"}, {name: "a/", kind: dir}, {name: "a/y", content: "2"}}, "a/ a/y=2 u/ u/x=1"},
		{"a hard link keeps what it led to", []e{{name: "a", content: "1"}, {name: "b", kind: hard, link: "a"}, {name: "a", content: "2"}}, "a=2 b=1"},
		{"a hard link to a link", []e{{name: "a", kind: symlink, link: "x"}, {name: "b", kind: hard, link: "a"}}, "a>x b>x"},
		{"whiteouts are names", []e{{name: ".wh.a", content: "1"}, {name: "a", content: "2"}}, ".wh.a=1 a=2"},
		{"names of other alphabets, and of none", []e{{name: "ä\xff " + strings.Repeat("n", 200), content: "1"}}, "ä\xff " + strings.Repeat("n", 200) + "=1"},
	} {
		tree, err := ReadLayers(t.Context(), []Layer{layer(made(t, test.entries...))}, Plain, Limits{}, nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := listing(t, tree); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestWhiteouts(t *testing.T) {
	below := []e{{name: "d/", kind: dir}, {name: "d/a", content: "1"}, {name: "d/s/b", content: "2"}, {name: "f", content: "3"}, {name: "l", kind: symlink, link: "d"}}
	for _, test := range []struct {
		name  string
		above []e
		want  string
	}{
		{"a file", []e{{name: "d/.wh.a"}}, "d/ d/s/ d/s/b=2 f=3 l>d"},
		{"a folder", []e{{name: ".wh.d"}}, "f=3 l>d"},
		{"everything in a folder", []e{{name: "d/.wh..wh..opq"}}, "d/ f=3 l>d"},
		{"everything below, not what the layer has", []e{{name: "d/new", content: "4"}, {name: "d/.wh..wh..opq"}, {name: "d/s/c", content: "5"}}, "d/ d/new=4 d/s/ d/s/c=5 f=3 l>d"},
		{"what the layer has stays", []e{{name: "f", content: "4"}, {name: ".wh.f"}}, "d/ d/a=1 d/s/ d/s/b=2 f=4 l>d"},
		{"through a link", []e{{name: "l/.wh.a"}}, "d/ d/s/ d/s/b=2 f=3 l>d"},
		{"of nothing", []e{{name: "x/.wh.y"}, {name: ".wh.z"}, {name: ".wh..wh.plnk/", kind: dir}}, "d/ d/a=1 d/s/ d/s/b=2 f=3 l>d"},
		{"a hard link into the layer below", []e{{name: "g", kind: hard, link: "f"}, {name: ".wh.f"}}, "d/ d/a=1 d/s/ d/s/b=2 g=3 l>d"},
		{"a file again", []e{{name: ".wh.f"}, {name: "f", content: "9"}}, "d/ d/a=1 d/s/ d/s/b=2 f=9 l>d"},
	} {
		tree, err := ReadLayers(t.Context(), []Layer{layer(made(t, below...)), layer(made(t, test.above...))}, OCI, Limits{}, nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := listing(t, tree); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestRefusedLayers(t *testing.T) {
	whole := made(t, e{name: "a", content: strings.Repeat("x", 4000)})
	for _, test := range []struct {
		name   string
		layer  []byte
		limits Limits
		says   string
	}{
		{"a name with ..", made(t, e{name: "a/../../etc/passwd"}), Limits{}, `the name "a/../../etc/passwd" leads out of its folder`},
		{"a hard link with ..", made(t, e{name: "a", kind: hard, link: "../../etc/shadow"}), Limits{}, `the hard link a: the name "../../etc/shadow" leads out`},
		{"a hard link to a file of this machine", made(t, e{name: "a", kind: hard, link: "/etc/shadow"}), Limits{}, "leads to a file that is not in the archive"},
		{"a hard link to a folder", made(t, e{name: "d/", kind: dir}, e{name: "a", kind: hard, link: "d"}), Limits{}, "no file of the archive"},
		{"links in a circle", made(t, e{name: "a", kind: symlink, link: "b"}, e{name: "b", kind: symlink, link: "a"}, e{name: "a/x"}), Limits{}, "circle"},
		{"a file in a file", made(t, e{name: "a"}, e{name: "a/b"}), Limits{}, "a is no folder"},
		{"a device that is none", made(t, e{name: "d", kind: tar.TypeChar, change: func(h *tar.Header) { h.Devmajor = 1 << 12 }}), Limits{}, "the device 4096:0"},
		{"an entry of another kind", made(t, e{name: "x", kind: 'M'}), Limits{}, `type 'M'`},
		{"a long name", made(t, e{name: strings.Repeat("n", 256)}), Limits{}, "more than 255 bytes"},
		{"too many bytes", whole, Limits{Bytes: 3999}, "unpacks to more than"},
		{"too many files", made(t, e{name: "a"}, e{name: "b"}), Limits{Entries: 1}, "more than 1 files"},
		{"cut off", whole[:2000], Limits{}, "cut off or damaged"},
		{"no archive", bytes.Repeat([]byte("x"), 1000), Limits{}, "damaged"},
		{"nothing", made(t), Limits{}, "no files in it"},
	} {
		tree, err := ReadLayers(t.Context(), []Layer{layer(test.layer)}, Plain, test.limits, nil)
		if err == nil {
			err = tree.bytes.each(t.Context(), func(n *Node, r io.Reader) error {
				return copyExactly(io.Discard, r, "a", n.Size, func(int) {})
			})
		}
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
}

// A layer whose sum is another is refused, also where only what follows the archive differs.
func TestSumOfLayer(t *testing.T) {
	l := layer(append(made(t, e{name: "a", content: "1"}), "more"...))
	l.SHA256 = strings.Repeat("0", 64)
	if _, err := ReadLayers(t.Context(), []Layer{l}, Plain, Limits{}, nil); err == nil || !strings.Contains(err.Error(), "it is damaged, or was changed") {
		t.Errorf("%v", err)
	}
}

// Whatever bytes a layer has, names in the tree are names, and nothing panics.
func FuzzReadLayers(f *testing.F) {
	f.Add(made(f, e{name: "a/", kind: dir}, e{name: "a/.wh.b", content: "1"}, e{name: "l", kind: symlink, link: "../a"}, e{name: "l/x", kind: hard, link: "l"}))
	f.Add(made(f, e{name: "x", change: func(h *tar.Header) { h.PAXRecords = map[string]string{xattrRecord + "security.capability": "\x00\x01"} }}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, w := range []Whiteouts{Plain, OCI} {
			tree, err := ReadLayers(t.Context(), []Layer{layer(b), layer(b)}, w, Limits{Bytes: 1 << 20, Entries: 100}, nil)
			if err != nil {
				continue
			}
			_ = tree.each(func(name string, _ *Node) error {
				if name != "." && !fs.ValidPath(strings.ToValidUTF8(name, "?")) {
					t.Errorf("the tree has the name %q", name)
				}
				return nil
			})
		}
	})
}

// Links make names short that are far down; a tree of which no path says the names would take mksquashfs for ever.
func TestFoldersNestedTooDeep(t *testing.T) {
	deep := strings.Repeat("d/", 1500) + "d"
	archive := made(t,
		e{name: deep, kind: tar.TypeDir},
		e{name: "down", kind: tar.TypeSymlink, link: deep},
		e{name: "down/" + deep[:999], kind: tar.TypeDir},
		e{name: "down/" + deep[:1199] + "/x"})
	if _, err := ReadLayers(t.Context(), []Layer{layer(archive)}, Plain, Limits{}, nil); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("folders nested 2100 deep: %v", err)
	}
	if _, err := ReadLayers(t.Context(), []Layer{layer(made(t, e{name: deep + "/x"}))}, Plain, Limits{}, nil); err != nil {
		t.Errorf("folders nested 1500 deep: %v", err)
	}
}
