package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// fake is a kind of source whose systems are a disk image for QEMU.
type fake struct {
	// fill fills the folder; the default writes one file.
	fill func(ctx context.Context, j *Job) error
}

func (fake) Name() string     { return "fake (for tests)" }
func (fake) Example() Example { return Example{"x DIR/oss/x", "nothing"} }
func (fake) Recognise(_ context.Context, s *Source) (bool, error) {
	return bytes.HasPrefix(s.Head, []byte("fake")), nil
}
func (f fake) Import(ctx context.Context, j *Job) error {
	if f.fill != nil {
		return f.fill(ctx, j)
	}
	return disk(ctx, j, "", "disk")
}

// disk makes a system that consists of a disk image.
func disk(ctx context.Context, j *Job, suffix, content string) error {
	s, err := j.NewSystem(suffix)
	if err != nil {
		return err
	}
	s.Title = "Title"
	s.QEMU = &QEMU{Args: []string{"-drive", "file=disk.raw,format=raw"}}
	return j.CopyFile(ctx, s, "disk.raw", strings.NewReader(content), int64(len(content)), "the test")
}

// newSite makes a site with a source beside it, and returns its folder and options to import that as oss/x.
func newSite(t *testing.T) (string, Options) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(filepath.Dir(dir), "source")
	if err := os.WriteFile(src, []byte("fake"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, Options{Source: src, Target: filepath.Join(dir, "oss", "x"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// state is everything in a folder, by its content.
func state(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, info.Mode())
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.Write(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestImport(t *testing.T) {
	dir, o := newSite(t)
	r, err := Import(t.Context(), o, []Kind{fake{}})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{o.Target + ": Title (fake)", "4 ", "disk.raw: the test"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, &table)
		}
	}
	s, problems := site.Load(dir)
	if len(problems) > 0 || len(s.AllProblems()) > 0 || len(s.Systems) != 1 || s.Systems[0].Title != "Title" || !slices.Equal(s.Systems[0].Files, []string{"disk.raw"}) {
		t.Errorf("%v, %+v", problems, s)
	}
	if entries := names(t, filepath.Join(dir, "oss")); !slices.Equal(entries, []string{"README", "x"}) {
		t.Errorf("in oss: %q", entries)
	}
	// Other users read what is there, whatever the umask was.
	for name, want := range map[string]fs.FileMode{"": 0o755, "config.yaml": 0o644, "disk.raw": 0o644} {
		if info, err := os.Stat(filepath.Join(o.Target, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A failure says of what source it is.
func TestFailureNamesSource(t *testing.T) {
	_, o := newSite(t)
	_, err := Import(t.Context(), o, []Kind{fake{func(context.Context, *Job) error { return errors.New("it has no init") }}})
	if want := o.Source + ": it has no init"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// What is there is replaced only when that is asked for, and only by something whole.
func TestReplace(t *testing.T) {
	dir, o := newSite(t)
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	_, err := Import(t.Context(), o, []Kind{fake{}})
	checkSays(t, err, "is there already; name another folder, or replace it: --replace")
	o.Replace = true
	for name, c := range map[string]struct {
		fill func(context.Context, *Job) error
		says string
	}{
		"an error":         {func(context.Context, *Job) error { return errors.New("broken") }, "broken"},
		"no system":        {func(context.Context, *Job) error { return nil }, "nothing came of it"},
		"no configuration": {func(_ context.Context, j *Job) error { _, err := j.NewSystem(""); return err }, "nothing is known of how to start it"},
		"files missing": {func(ctx context.Context, j *Job) error {
			if err := disk(ctx, j, "", "disk"); err != nil {
				return err
			}
			return os.Remove(j.systems[0].Path("disk.raw"))
		}, "what was made of it would not be served"},
		"a link": {func(ctx context.Context, j *Job) error {
			if err := disk(ctx, j, "", "disk"); err != nil {
				return err
			}
			return os.Symlink("/etc/passwd", j.systems[0].Path("passwd"))
		}, "passwd is no regular file"},
		"half of it": {func(ctx context.Context, j *Job) error {
			s, err := j.NewSystem("")
			if err != nil {
				return err
			}
			return j.CopyFile(ctx, s, "disk.raw", strings.NewReader("half"), 8, "")
		}, "disk.raw is cut off: 4 bytes of 8 are there"},
		"no such room": {func(_ context.Context, j *Job) error { return j.NeedSpace(1 << 60) }, "make room on the file system"},
		"a bad name":   {func(ctx context.Context, j *Job) error { return disk(ctx, j, "/../../y", "disk") }, "can't be a system's"},
		"a folder of others": {func(ctx context.Context, j *Job) error {
			if err := os.Mkdir(filepath.Join(j.Temp, "x"), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(j.Temp, "x", "y"), nil, 0o600); err != nil {
				return err
			}
			if err := os.Chmod(filepath.Join(j.Temp, "x"), 0o500); err != nil { // whose owner may remove nothing in it
				return err
			}
			return errors.New("broken")
		}, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Import(t.Context(), o, []Kind{fake{c.fill}})
			checkSays(t, err, c.says)
			if after := state(t, dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
	if _, err := Import(t.Context(), o, []Kind{fake{func(ctx context.Context, j *Job) error { return disk(ctx, j, "", "another") }}}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(o.Target, "disk.raw")); string(b) != "another" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if entries := names(t, filepath.Join(dir, "oss")); !slices.Equal(entries, []string{"README", "x"}) {
		t.Errorf("in oss: %q", entries)
	}
}

func checkSays(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want %q", err, says)
	}
}

// Several systems come all, or none.
func TestSeveral(t *testing.T) {
	dir, o := newSite(t)
	both := fake{func(ctx context.Context, j *Job) error {
		return errors.Join(disk(ctx, j, "-1", "one"), disk(ctx, j, "-2", "two"))
	}}
	taken := filepath.Join(dir, "oss", "x-2")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	_, err := Import(t.Context(), o, []Kind{both})
	checkSays(t, err, "x-2 is there already")
	if after := state(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), o, []Kind{both}); err != nil {
		t.Fatal(err)
	}
	s, problems := site.Load(dir)
	if len(problems) > 0 || len(s.AllProblems()) > 0 || len(s.Systems) != 2 || s.Systems[1].Title != "Title (x-2)" {
		t.Errorf("%v, %+v", problems, s)
	}
}

func TestTitles(t *testing.T) {
	dir, o := newSite(t)
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	o.Target = filepath.Join(dir, "oss", "y")
	o.Title = "Title"
	_, err := Import(t.Context(), o, []Kind{fake{}})
	checkSays(t, err, `another system is called "Title" already`)
	o.Title = "one\nline\x00"
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	o.Target, o.Title = filepath.Join(dir, "oss", "z"), ""
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	s, problems := site.Load(dir)
	if len(problems) > 0 || len(s.AllProblems()) > 0 || len(s.Systems) != 3 || s.Systems[1].Title != "Title (z)" || s.Systems[2].Title != "one line" {
		t.Errorf("%v, %+v", problems, s)
	}
}

// An interrupt ends a copy, and leaves nothing.
func TestInterrupted(t *testing.T) {
	dir, o := newSite(t)
	before := state(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	endless := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	_, err := Import(ctx, o, []Kind{fake{func(ctx context.Context, j *Job) error {
		s, err := j.NewSystem("")
		if err != nil {
			return err
		}
		return j.CopyFile(ctx, s, "disk.raw", endless, 64<<20, "")
	}}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if after := state(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// hangVariable makes this test's program an import that never ends, in the site of that folder.
const hangVariable = "BOOTTORRENT_TEST_HANG"

func TestMain(m *testing.M) {
	dir := os.Getenv(hangVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	o := Options{Source: filepath.Join(filepath.Dir(dir), "source"), Target: filepath.Join(dir, "oss", "x"), Replace: true, Log: slog.Default()}
	_, err := Import(context.Background(), o, []Kind{fake{func(ctx context.Context, j *Job) error {
		if err := disk(ctx, j, "", "half"); err != nil {
			return err
		}
		fmt.Println("hangs")
		return unix.Pause()
	}}})
	fmt.Println(err)
	os.Exit(1)
}

// What a killed import leaves is removed by the next; that of one which lives is not.
func TestKilled(t *testing.T) {
	dir, o := newSite(t)
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), hangVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "hangs\n" {
		t.Fatalf("%q, %v", line, err)
	}
	staged := stagingFolders(t, dir)
	if len(staged) != 1 {
		t.Fatalf("staging folders: %q", staged)
	}
	sweep(filepath.Join(dir, "oss"))
	if now := stagingFolders(t, dir); !slices.Equal(now, staged) {
		t.Errorf("while it lives there are %q, not %q", now, staged)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if now := stagingFolders(t, dir); !slices.Equal(now, staged) {
		t.Errorf("after it was killed there are %q, not %q", now, staged)
	}
	// Another one, which fails, cleans up.
	_, err = Import(t.Context(), Options{Source: o.Source, Target: o.Target, Replace: true, Log: o.Log},
		[]Kind{fake{func(context.Context, *Job) error { return errors.New("broken") }}})
	checkSays(t, err, "broken")
	if after := state(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func stagingFolders(t *testing.T, dir string) []string {
	return slices.DeleteFunc(names(t, filepath.Join(dir, "oss")), func(n string) bool { return !strings.HasPrefix(n, stagingPrefix) })
}

// A disk that gets full leaves what was there.
func TestFullDisk(t *testing.T) {
	need.Namespaces(t)
	dir, o := newSite(t)
	oss := filepath.Join(dir, "oss")
	if err := unix.Mount("tmpfs", oss, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(oss, 0); err != nil {
			t.Error(err)
		}
	})
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	o.Replace = true
	large := strings.Repeat("x", 2<<20)
	for name, fill := range map[string]func(context.Context, *Job) error{
		"known before": func(ctx context.Context, j *Job) error { return disk(ctx, j, "", large) },
		"found out": func(_ context.Context, j *Job) error {
			s, err := j.NewSystem("")
			if err != nil {
				return err
			}
			return os.WriteFile(s.Path("disk.raw"), []byte(large), 0o644)
		},
	} {
		_, err := Import(t.Context(), o, []Kind{fake{fill}})
		checkSays(t, err, "no space left on device")
		checkSays(t, err, "make room on the file system of "+oss)
		if after := state(t, dir); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", name, before, after)
		}
	}
}

// The steps are told of with how far they are.
func TestSteps(t *testing.T) {
	_, o := newSite(t)
	var got []string
	o.Watch = Watch{
		Began:   func(s string) { got = append(got, "began "+s) },
		Counted: func(s string, done, total int64) { got = append(got, fmt.Sprintf("%s %d/%d", s, done, total)) },
		Took:    func(s string, _ time.Duration) { got = append(got, "took "+s) },
	}
	if _, err := Import(t.Context(), o, []Kind{fake{}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"began copy disk.raw", "copy disk.raw 4/4", "took copy disk.raw", "began check the system", "took check the system",
		"began remove what was needed meanwhile", "took remove what was needed meanwhile"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
