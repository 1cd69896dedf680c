package image

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/u-root/mkuimage/cpio"
	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
)

var update = flag.Bool("update", false, "write the golden files")

func writeTestFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// entries lists a folder, names that start with a dot included.
func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestOptionErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     Options
		wrong string
	}{
		{"modules alone", Options{Modules: "/lib/modules/1"}, "without a kernel"},
		{"compression", Options{Compress: "gzip"}, "choose xz (small) or zstd"},
		{"level", Options{Level: 12}, "no compression level 12"},
		{"seeder without scheme", Options{Seeder: "10.0.0.1:80"}, "http://ADDRESS:PORT"},
		{"seeder with path", Options{Seeder: "http://10.0.0.1/x"}, "http://ADDRESS:PORT"},
		{"seeder by https", Options{Seeder: "https://10.0.0.1"}, "http://ADDRESS:PORT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Site, c.o.Source, c.o.Cache = t.TempDir(), "../..", t.TempDir()
			_, err := Build(context.Background(), c.o)
			var option *OptionError
			if !errors.As(err, &option) || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want an OptionError with %q", err, c.wrong)
			}
		})
	}
}

// What a medium lacks is said before anything is built.
func TestMediumErrors(t *testing.T) {
	folder, conf := t.TempDir(), filepath.Join(t.TempDir(), "my.conf")
	writeTestFile(t, conf, "# mine\r\ntimeout: soon\r\nsystem: debian\r\ncolour: red\r\n")
	path := os.Getenv("PATH")
	for _, c := range []struct {
		name, path string
		medium     Medium
		wrong      string
	}{
		{"format", path, Medium{Format: "floppy"}, "choose usb or iso"},
		{"onto a device", path, Medium{Format: USB, Path: "/dev/null"}, "mkimage flash"},
		{"onto a folder", path, Medium{Format: USB, Path: folder}, "is not a file"},
		{"no configuration", path, Medium{Format: USB, Config: folder + "/none"}, "none"},
		{"wrong configuration", path, Medium{Format: USB, Config: conf}, conf + ":2: timeout: soon"},
		{"all that is wrong", path, Medium{Format: USB, Config: conf}, conf + ":4: colour: red"},
		{"without GRUB", folder, Medium{Format: USB}, "apt-get install"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			_, _, err := BuildMedium(t.Context(), Options{Site: t.TempDir(), Source: "../..", Cache: t.TempDir()}, c.medium)
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}

// TestBuildErrors: nothing is written, and what is wrong is said before anything long is begun.
func TestBuildErrors(t *testing.T) {
	good := filepath.Join(t.TempDir(), "site")
	if err := site.Init(good, "room"); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	writeTestFile(t, text, "no kernel")
	for _, c := range []struct{ name, site, kernel, wrong string }{
		{"no site", t.TempDir(), "", site.ConfigFile},
		{"no kernel", good, text, "is no Linux kernel image"},
		{"kernel is missing", good, text + "2", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := entries(t, c.site)
			_, err := Build(context.Background(), Options{Site: c.site, Kernel: c.kernel, Source: "../..", Cache: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
			if after := entries(t, c.site); after != before {
				t.Errorf("the site has %s, before it had %s", after, before)
			}
		})
	}
}

func TestCache(t *testing.T) {
	c := cache{dir: filepath.Join(t.TempDir(), "parts")}
	made := 0
	get := func(key string) string {
		t.Helper()
		p, err := c.part("modules", key, func() (*Part, error) {
			made++
			stream := []byte(fmt.Sprint("made for ", key))
			return &Part{Name: "modules", SHA256: hash(string(stream)), stream: stream}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(p.stream)
	}
	for _, step := range []struct {
		name   string
		before func()
		key    string
		made   int
	}{
		{"empty", func() {}, "a", 1},
		{"again", func() {}, "a", 1},
		{"another key", func() {}, "b", 2},
		{"damaged", func() { writeTestFile(t, filepath.Join(c.dir, "a.stream"), "made for b") }, "a", 3},
		{"half gone", func() { os.Remove(filepath.Join(c.dir, "a.stream")) }, "a", 4},
		{"damaged description", func() { writeTestFile(t, filepath.Join(c.dir, "a.json"), "{") }, "a", 5},
		{"mended", func() {}, "a", 5},
	} {
		step.before()
		if got := get(step.key); got != "made for "+step.key {
			t.Errorf("%s: got %q", step.name, got)
		}
		if made != step.made {
			t.Errorf("%s: made %d parts, want %d", step.name, made, step.made)
		}
	}
	for i := range 2 * keep {
		get(fmt.Sprint("many", i))
	}
	if n := len(strings.Fields(entries(t, c.dir))); n != 2*keep {
		t.Errorf("the cache has %d files after many parts, want %d", n, 2*keep)
	}
}

func TestCacheMakesNothingOfAnError(t *testing.T) {
	c := cache{dir: t.TempDir()}
	failure := errors.New("failure")
	if _, err := c.part("modules", "a", func() (*Part, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Errorf("error %v, want the maker's", err)
	}
	if got := entries(t, c.dir); got != "" {
		t.Errorf("the cache has %s", got)
	}
}

// TestWriteTogether: when one file can't be written, the others are as they were.
func TestWriteTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	if err := writeTogether(dir, []output{{"a", []byte("1")}, {"b", []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	err := writeTogether(dir, []output{{"a", []byte("2")}, {"b/below", nil}})
	if err == nil {
		t.Error("no error for a file in what is no folder")
	}
	content, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil || string(content) != "1" {
		t.Errorf("a has %q, %v; want what it had before", content, err)
	}
	if got := entries(t, dir); got != "a b" {
		t.Errorf("the folder has %s, want a b", got)
	}
}

// TestWeigh: shares add up to the part's size, and what does not compress weighs more.
func TestWeigh(t *testing.T) {
	random := make([]byte, 10000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	files, err := weigh([]cpio.Record{
		archive.Directory("dir", 0o755),
		archive.File("dir/zeros", make([]byte, 10000), 0o644),
		archive.File("dir/random", random, 0o644),
		archive.Symlink("link", "dir"),
	}, 5000)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || files[0].Path != "dir/random" || files[0].Share < 4900 {
		t.Errorf("files %+v, want the random one first with nearly all", files)
	}
	if sum := files[0].Share + files[1].Share; sum < 4990 || sum > 5000 {
		t.Errorf("the shares add up to %d, not to about 5000", sum)
	}
}

func TestTable(t *testing.T) {
	m := &Manifest{
		Files:  []File{{Name: KernelFile, Size: 8 << 20}, {Name: InitramfsFile, Size: 9<<20 + 500}},
		Kernel: Kernel{Release: "6.1.0", Package: "linux-image-6.1.0 6.1.140-1"},
		Drivers: Drivers{
			Selection: "common", Modules: []string{"e1000e", "r8169"}, Absent: []string{"alx"}, WithoutFirmware: []string{"bnx2"},
			Firmware: []string{"a.fw"}, MissingFirmware: []drivers.MissingFirmware{{Path: "b.fw", Module: "r8169"}},
		},
		Commands: Commands{Names: []string{"init"}, Go: "go1.26.0"},
		Parts: []*Part{
			{Name: CommandsPart, Size: 6 << 20, Unpacked: 24 << 20},
			{Name: ModulesPart, Size: 3 << 20, Unpacked: 20 << 20, Files: []PartFile{
				{Path: "lib/modules/6.1.0/e1000e.ko", Size: 600000, Share: 100000},
			}},
			{Name: SitePart, Size: 500, Unpacked: 700},
		},
	}
	for _, verbose := range []bool{false, true} {
		t.Run(fmt.Sprint("verbose ", verbose), func(t *testing.T) {
			var got bytes.Buffer
			if err := m.WriteTable(&got, verbose); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", fmt.Sprintf("table-%t.golden", verbose))
			if *update {
				writeTestFile(t, golden, got.String())
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("the table is\n%s\nwant\n%s", &got, want)
			}
		})
	}
}

// A node compares the kernel that a system wants with the one that its own initramfs was made for.
func TestSitePartNamesTheKernel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "room"); err != nil {
		t.Fatal(err)
	}
	b := &build{site: &site.Site{Name: "room", Dir: dir}, vmlinuz: []byte("kernel")}
	config, err := b.siteConfig()
	// printf kernel | sha256sum
	if want := "6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c"; err != nil || config.KernelSHA256 != want {
		t.Errorf("kernel %q, %v; want %q", config.KernelSHA256, err, want)
	}
}

// A node knows who may log in to it; where the site names nobody, the key is not there at all.
func TestSitePartHasSSHKeys(t *testing.T) {
	const login = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKd0yS2kSzBxJ4nWmIe2cGxkVYRYbfeCpeqs0nM7xbEm ann@example.org"
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "room"); err != nil {
		t.Fatal(err)
	}
	tool, err := archive.New(t.Context(), archive.MethodXZ, archive.MinLevel)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{nil, {login}} {
		b := &build{site: &site.Site{Name: "room", Dir: dir, Node: site.Node{SSHKeys: keys}}, compressor: tool,
			Options: Options{}}
		part, err := b.sitePart(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := xz.NewReader(bytes.NewReader(part.stream))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if has := bytes.Contains(content, []byte(login)); has != (keys != nil) || bytes.Contains(content, []byte("ssh_keys")) != has {
			t.Errorf("with the keys %q:\n%s", keys, content)
		}
	}
}
