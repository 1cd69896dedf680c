package machinefiles

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder makes a folder of files by their names: "-> TARGET" is a link, a name that ends with a slash a folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(full, 0o755))
		case link:
			must(t, os.Symlink(target, full))
		default:
			must(t, os.WriteFile(full, []byte(content), 0o644))
		}
	}
	return dir
}

func read(t *testing.T, dir string) *Tree {
	t.Helper()
	tree, problems := Read(dir, Owner{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return tree
}

func encode(t *testing.T, tree *Tree) []byte {
	t.Helper()
	archive, err := tree.Encode()
	must(t, err)
	return archive
}

// equal reports whether two trees have the same entries.
func equal(t, other *Tree) bool {
	return slices.EqualFunc(t.Entries(), other.Entries(), func(a, b *Entry) bool {
		return a.Name == b.Name && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Time == b.Time && a.Template == b.Template &&
			bytes.Equal(a.Content, b.Content)
	})
}

// show is a line for each entry.
func show(tree *Tree) string {
	var b strings.Builder
	for _, e := range tree.Entries() {
		fmt.Fprintf(&b, "%q %o %d:%d %q", e.Name, e.Mode, e.UID, e.GID, e.Content)
		if e.Template {
			b.WriteString(" template")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestReadAndDecode(t *testing.T) {
	dir := folder(t, map[string]string{
		"etc/motd.tmpl": "this is {{.Hostname}}\n", "etc/empty/": "", "etc/a\nb\xff\\x2d": "odd", "bin/su": "set-user-ID", "root/.ssh/key": "secret",
		"outside": "-> ../../../etc/shadow", "folder.tmpl/": "", "link.tmpl": "-> {{.Typo}}", "a.b": "", "a/b": "", ".x.swp": "", "motd~": "", "#x#": "",
	})
	must(t, os.Chmod(filepath.Join(dir, "root/.ssh/key"), 0o600))
	must(t, unix.Chmod(filepath.Join(dir, "bin/su"), 0o4755))
	then := time.Unix(1_700_000_000, 0)
	must(t, os.Chtimes(filepath.Join(dir, "bin/su"), then, then))
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		must(t, os.Lchown(filepath.Join(dir, "outside"), 4321, 1234))
	}
	tree, problems := Read(dir, Owner{uint32(uid), uint32(gid)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	owner := "0:0"
	if uid == 0 {
		owner = "4321:1234"
	}
	want := strings.Join([]string{
		`"a" 40755 0:0 ""`, `"a.b" 100644 0:0 ""`, `"a/b" 100644 0:0 ""`, `"bin" 40755 0:0 ""`, `"bin/su" 104755 0:0 "set-user-ID"`, `"etc" 40755 0:0 ""`,
		`"etc/a\nb\xff\\x2d" 100644 0:0 "odd"`, `"etc/empty" 40755 0:0 ""`, `"etc/motd" 100644 0:0 "this is {{.Hostname}}\n" template`,
		`"folder.tmpl" 40755 0:0 ""`, `"link.tmpl" 120777 0:0 "{{.Typo}}"`, `"outside" 120777 ` + owner + ` "../../../etc/shadow"`,
		`"root" 40755 0:0 ""`, `"root/.ssh" 40755 0:0 ""`, `"root/.ssh/key" 100600 0:0 "secret"`,
	}, "\n") + "\n"
	if got := show(tree); got != want {
		t.Errorf("read:\n%swant\n%s", got, want)
	}
	if got := tree.Secrets(); len(got) != 1 || got[0] != "root/.ssh/key" {
		t.Errorf("secrets: %q", got)
	}
	if got := tree.entries["bin/su"].Time; int64(got) != then.Unix() {
		t.Errorf("the time is %d", got)
	}
	archive := encode(t, tree)
	if len(archive)%4 != 0 {
		t.Errorf("%d bytes", len(archive))
	}
	if again := encode(t, read2(t, dir, uid, gid)); !bytes.Equal(archive, again) {
		t.Error("the same files make another archive")
	}
	decoded, err := Decode(archive)
	must(t, err)
	if !equal(decoded, tree) {
		t.Errorf("decoded:\n%s", show(decoded))
	}
	filled, err := decoded.Expand(map[string]string{"Hostname": "desk-1"})
	must(t, err)
	if got := string(filled.entries["etc/motd"].Content); got != "this is desk-1\n" {
		t.Errorf("filled in: %q", got)
	}
	if !strings.Contains(string(encode(t, filled)), "etc/motd\x00") || !tree.Has("etc/motd") {
		t.Error("the ending of a template is not dropped")
	}
}

func read2(t *testing.T, dir string, uid, gid int) *Tree {
	t.Helper()
	tree, problems := Read(dir, Owner{uint32(uid), uint32(gid)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return tree
}

// GNU cpio, which is not ours, unpacks the archive.
func TestForeignReader(t *testing.T) {
	tree := read(t, folder(t, map[string]string{"etc/hosts": "127.0.0.1", "etc/link": "-> hosts", "empty/": ""}))
	out := t.TempDir()
	cmd := exec.Command(need.Command(t, "cpio", "cpio"), "-i", "--quiet", "-m", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = out, bytes.NewReader(encode(t, tree))
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := read(t, out); show(got) != show(tree) {
		t.Errorf("unpacked:\n%swant\n%s", show(got), show(tree))
	}
}

func TestProblems(t *testing.T) {
	for name, tt := range map[string]struct {
		files  map[string]string
		change func(dir string) error
		want   []string
	}{
		"placeholders": {files: map[string]string{"etc/a.tmpl": "one {{.IP}}\n  ä{{.Typo}}", "b.tmpl": "{{.Worse}}"},
			want: []string{`b.tmpl:1:1: unknown placeholder {{.Worse}}`, `etc/a.tmpl:2:4: unknown placeholder {{.Typo}}`}},
		"two of a name":     {files: map[string]string{"a": "", "a.tmpl": ""}, want: []string{`a.tmpl:1:1: "a" and "a.tmpl" have the same name`}},
		"no name":           {files: map[string]string{"etc/.tmpl": ""}, want: []string{`etc/.tmpl:1:1: a file is called .tmpl alone`}},
		"the end":           {files: map[string]string{trailer: ""}, want: []string{trailer + ":1:1: the name"}},
		"a pipe, a socket":  {change: func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "p"), 0o644) }, want: []string{"p:1:1: is a named pipe, and"}},
		"large":             {files: map[string]string{"a": strings.Repeat("x", catalog.MaxFileTree)}, want: []string{":1:1: the files take more than 8388608"}},
		"large when filled": {files: map[string]string{"a.tmpl": strings.Repeat("{{.HTTP}}", catalog.MaxFileTree/100)}, want: []string{":1:1: the files take more than"}},
		"gone":              {change: os.RemoveAll, want: []string{":1:1: can't be read (no such file"}},
	} {
		dir := folder(t, tt.files)
		if tt.change != nil {
			must(t, tt.change(dir))
		}
		_, problems := Read(dir, Owner{})
		for i, want := range tt.want {
			got := ""
			if i < len(problems) {
				p := problems[i]
				got = fmt.Sprintf("%s:%d:%d: %s", p.Name, p.Line, p.Col, p.What)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if len(problems) != len(tt.want) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	// A link to a folder is not followed, whatever it leads to.
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(t.TempDir(), link))
	if _, problems := Read(link, Owner{}); len(problems) != 1 || !strings.Contains(problems[0].What, "symbolic link") {
		t.Errorf("a link: %v", problems)
	}
}

func TestTooMany(t *testing.T) {
	dir := t.TempDir()
	for i := range catalog.MaxFileTreeEntries + 1 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), nil, 0o644))
	}
	if _, problems := Read(dir, Owner{}); len(problems) != 1 || !strings.Contains(problems[0].What, "more than 10000 files") {
		t.Errorf("%v", problems)
	}
}

func TestLay(t *testing.T) {
	all := read(t, folder(t, map[string]string{"a": "all", "b": "all", "folder/x": "all", "folder/y": "all", "folder/sub/z": "all", "folder2": "all"}))
	group := read(t, folder(t, map[string]string{"a.tmpl": "{{.IP}}", "b": "group", "folder": "group"}))
	one := read(t, folder(t, map[string]string{"b": "-> one", "folder2/x": "one"}))
	laid, err := Lay(all, group, one).Expand(map[string]string{"IP": "10.0.0.1"})
	must(t, err)
	want := `"a" 100644 0:0 "10.0.0.1"` + "\n" + `"b" 120777 0:0 "one"` + "\n" + `"folder" 100644 0:0 "group"` + "\n" +
		`"folder2" 40755 0:0 ""` + "\n" + `"folder2/x" 100644 0:0 "one"` + "\n"
	if got := show(laid); got != want {
		t.Errorf("laid:\n%swant\n%s", got, want)
	}
	if again, err := Decode(encode(t, laid)); err != nil || !equal(again, laid) {
		t.Errorf("as an archive: %v", err)
	}
	if (*Tree)(nil).Len() != 0 || Lay().Len() != 0 || len(Lay(nil).Entries()) != 0 {
		t.Error("nothing is something")
	}
}

func TestVerify(t *testing.T) {
	archive := encode(t, read(t, folder(t, map[string]string{"a": "b"})))
	f := Listed("all", archive)
	if _, err := Verify(f, archive); err != nil {
		t.Error(err)
	}
	other := bytes.Replace(archive, []byte("b\x00"), []byte("c\x00"), 1)
	for _, bad := range [][]byte{other, archive[:len(archive)-4], nil} {
		if _, err := Verify(f, bad); err == nil || !strings.Contains(err.Error(), "the catalog says") {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	cut := archive[:120]
	if _, err := Verify(Listed("all", cut), cut); err == nil {
		t.Error("an archive that is cut off is taken")
	}
}

func FuzzDecode(f *testing.F) {
	tree := &Tree{}
	for _, e := range []*Entry{{Name: "a", Mode: Folder | 0o755}, {Name: "a/b.tmpl", Mode: Regular | 0o644, Content: []byte("{{.IP}}")}, {Name: "c", Mode: Link, Content: []byte("a")}} {
		if err := tree.add(e); err != nil {
			f.Fatal(err)
		}
	}
	archive, err := tree.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(archive)
	f.Add(archive[:len(archive)-4])
	f.Fuzz(func(t *testing.T, archive []byte) {
		tree, err := Decode(archive)
		if err != nil {
			return
		}
		for _, e := range tree.Entries() {
			if !filepath.IsLocal(e.Name) || e.Name == "." {
				t.Errorf("the name %q", e.Name)
			}
		}
		again, err := tree.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if decoded, err := Decode(again); err != nil || !equal(decoded, tree) {
			t.Errorf("encoded again: %v\n%s\n%s", err, show(decoded), show(tree))
		}
	})
}
