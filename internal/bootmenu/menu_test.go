package bootmenu

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/u-root/u-root/pkg/boot"
	"github.com/u-root/u-root/pkg/boot/grub"
	"github.com/u-root/u-root/pkg/boot/syslinux"
	"github.com/u-root/u-root/pkg/curl"
	"github.com/u-root/u-root/pkg/mount"
)

var update = flag.Bool("update", false, "write the golden files anew")

func (m *Menu) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, m.File)
	for _, e := range m.Entries {
		mark := " "
		if e.Default {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s %s\n    %s %q\n    %s\n", mark, e.Title, e.Kernel, e.Initrd, e.Cmdline)
	}
	return b.String()
}

func archive(t *testing.T, path string) fstest.MapFS {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, f := range a.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return files
}

// The menus of real media, as their makers write them.
func TestMenus(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			menu, err := Read(t.Context(), archive(t, path))
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".txtar") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(menu.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := menu.String(); got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What is no menu, and what would take all memory or time, ends with an error.
func TestBadMenus(t *testing.T) {
	nested := strings.Repeat("submenu x { ", 1000) + strings.Repeat("}", 1000)
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"none":            {map[string]string{"README": "hello"}, ErrNone.Error()},
		"empty":           {map[string]string{"boot/grub/grub.cfg": ""}, ErrNone.Error()},
		"only memtest":    {map[string]string{"isolinux/isolinux.cfg": "label m\nkernel memtest\ninitrd x\n"}, ErrNone.Error()},
		"an open quote":   {map[string]string{"boot/grub/grub.cfg": "menuentry 'x {\n"}, "a quote is not closed"},
		"an open brace":   {map[string]string{"boot/grub/grub.cfg": "menuentry x {\n linux /x\n"}, "} is missing"},
		"an open if":      {map[string]string{"boot/grub/grub.cfg": "if true; then\n"}, "fi is missing"},
		"a brace alone":   {map[string]string{"boot/grub/grub.cfg": "}\n"}, `"}" stands where no command can`},
		"deep":            {map[string]string{"boot/grub/grub.cfg": nested}, errTooMuch.Error()},
		"growing":         {map[string]string{"boot/grub/grub.cfg": "a=xxxxxxxx\n" + strings.Repeat("a=\"$a$a$a$a\"\n", 40)}, errTooMuch.Error()},
		"many entries":    {map[string]string{"boot/grub/grub.cfg": strings.Repeat("menuentry x { echo }\n", maxEntries+1)}, errTooMuch.Error()},
		"many labels":     {map[string]string{"isolinux/isolinux.cfg": strings.Repeat("label x\n", maxEntries+1)}, errTooMuch.Error()},
		"recursion":       {map[string]string{"boot/grub/grub.cfg": "function f { f; }\nf\n"}, errTooMuch.Error()},
		"two functions":   {map[string]string{"boot/grub/grub.cfg": "function f { g; g; g; }\nfunction g { f; f; f; }\nf\n"}, errTooMuch.Error()},
		"includes":        {map[string]string{"isolinux/isolinux.cfg": "include isolinux.cfg\ninclude isolinux.cfg\n"}, errTooMuch.Error()},
		"a large file":    {map[string]string{"boot/grub/grub.cfg": strings.Repeat("#", maxFile+1)}, "larger than any configuration"},
		"a binary":        {map[string]string{"boot/grub/grub.cfg": "\x7fELF {{{{"}, "} is missing"},
		"no folder of it": {map[string]string{"boot/grub/grub.cfg/x": "hello"}, "grub.cfg"},
	} {
		files := fstest.MapFS{}
		for name, text := range c.files {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		m, err := Read(t.Context(), files)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v, want %q", name, m, err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, fstest.MapFS{"boot/grub/grub.cfg": {Data: []byte("menuentry x { linux /a\ninitrd /b\n}")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// A menu that breaks off still offers what came before.
func TestHalfAMenu(t *testing.T) {
	m, err := Read(t.Context(), fstest.MapFS{
		"boot/grub/grub.cfg": {Data: []byte("menuentry x {\n linux /a b\n initrd /c\n}\nsource /again\nf")},
		"again":              {Data: []byte("menuentry y { linux /d; initrd /e }\nfunction f { f; }\nf\n")},
	})
	if err != nil || len(m.Entries) != 2 {
		t.Fatalf("%v, %v", m, err)
	}
}

// stringScheme gives u-root's readers a medium's files.
type stringScheme struct{ fsys fs.FS }

func (s stringScheme) Fetch(_ context.Context, u *url.URL) (io.ReaderAt, error) {
	b, err := fs.ReadFile(s.fsys, strings.TrimPrefix(u.Path, "/"))
	return bytes.NewReader(b), err
}

func (s stringScheme) FetchWithoutCache(_ context.Context, u *url.URL) (io.Reader, error) {
	b, err := fs.ReadFile(s.fsys, strings.TrimPrefix(u.Path, "/"))
	return bytes.NewReader(b), err
}

// Where u-root's readers take a file as well, they find the same kernels with the same command lines.
func TestAsURoot(t *testing.T) {
	log.SetOutput(io.Discard) // they log all that they read
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	root := &url.URL{Scheme: "string", Path: "/"}
	for _, name := range []string{"ubuntu-desktop", "fedora-live", "alma-dvd"} {
		files := archive(t, filepath.Join("testdata", name+".txtar"))
		ours, err := Read(t.Context(), files)
		if err != nil {
			t.Fatal(err)
		}
		schemes := curl.Schemes{"string": stringScheme{files}}
		var theirs []boot.OSImage
		if strings.HasSuffix(ours.File, "isolinux.cfg") {
			theirs, err = syslinux.ParseConfigFile(t.Context(), schemes, filepath.Base(ours.File), root, filepath.Dir(ours.File))
		} else {
			theirs, err = grub.ParseConfigFile(t.Context(), schemes, ours.File, root, nil, &mount.Pool{})
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := map[string]bool{}
		for _, i := range theirs {
			if l, ok := i.(*boot.LinuxImage); ok {
				kernel, ok := l.Kernel.(fmt.Stringer)
				if !ok {
					t.Fatalf("%T", l.Kernel)
				}
				want[clean(kernel.String()+" "+l.Cmdline)] = true
			}
		}
		for _, e := range ours.Entries {
			if one := clean("string:///" + e.Kernel + " " + e.Cmdline); !want[one] {
				t.Errorf("%s: u-root has no %q in %q", name, one, slices.Collect(maps.Keys(want)))
			}
		}
	}
}

// clean is a URL and a command line as both write them.
func clean(s string) string {
	s = strings.ReplaceAll(s, "%28$root%29/", "") // which u-root takes for a folder's name
	return withoutWords(s, "initrd")
}

// FuzzRead takes a text for every kind of configuration; it is also what they include.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file := &fstest.MapFile{Data: text}
		medium := fstest.MapFS{"boot/grub/grub.cfg": file, "isolinux/isolinux.cfg": file, "loader/entries/a.conf": file, "loader/loader.conf": file, "x": file}
		for name := range medium { // not through guard: a panic is to be found
			_, _ = readGRUB(t.Context(), &files{fsys: medium}, name)
			_, _ = readSyslinux(t.Context(), &files{fsys: medium}, name)
		}
		if m, err := Read(t.Context(), medium); err == nil && len(m.Entries) == 0 {
			t.Error("an empty menu")
		}
	})
}
