package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
)

// binJob makes a system with one program of this content.
func binJob(t *testing.T, content string, args ...string) Job {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tools/prog"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return Job{
		System: catalog.System{Name: "check", Launch: catalog.Launch{Method: catalog.MethodBin,
			Bin: &catalog.Bin{Program: "tools/prog", Args: args}}},
		Dir: dir, Scratch: t.TempDir(),
		Vars: map[string]string{"MAC": "aa:bb:cc:dd:ee:ff", "Seeder": "192.0.2.1", "System": "check", "Console": "ttyS0,115200"},
	}
}

// run loads and starts a program without mounts.
func run(t *testing.T, job Job) Guest {
	t.Helper()
	m := &binMethod{workspace: plainWorkspace, available: func() (int64, error) { return 1 << 30, nil }}
	if err := m.Load(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	g, err := m.Start(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// script runs a shell script.
func script(t *testing.T, text string, args ...string) Guest {
	t.Helper()
	need.File(t, "/bin/sh", "dash")
	return run(t, binJob(t, "#!/bin/sh\n"+text, args...))
}

// A script's interpreter may be beside it, and neither needs to have been executable where it was downloaded.
func TestBinWithItsOwnInterpreter(t *testing.T) {
	need.File(t, "/bin/sh", "dash")
	job := binJob(t, "#!./interp -x\n", "word")
	for name, content := range map[string]string{"interp": "#!/bin/sh\necho \"interp $*\"; ./tools/helper\n", "tools/helper": "#!/bin/sh\necho helper\n"} {
		if err := os.WriteFile(filepath.Join(job.Dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := run(t, job)
	<-g.Done()
	if exit := g.Exit(); exit.Code != 0 || len(exit.Lines) != 2 || !strings.HasPrefix(exit.Lines[0], "interp -x ") || exit.Lines[1] != "helper" {
		t.Errorf("%+v", exit)
	}
}

func TestBinExit(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		args       []string
		want       report.Exit
	}{
		{"code and lines", "echo one; echo; printf '\\033[1mtw\\to\\033[0m\\n'; echo 50%; printf '60%%\\r70%%'; exit 3", nil,
			report.Exit{Code: 3, Lines: []string{"one", "tw o", "50%", "70%"}}},
		{"words stay words", `printf '<%s>' "$@"`, []string{"a b", "mac={{.MAC}}", "", "$HOME;`x`"},
			report.Exit{Lines: []string{"<a b><mac=aa:bb:cc:dd:ee:ff><><$HOME;`x`>"}}},
		{"environment", "env | grep -E '^(BT_|TERM)' | sort", nil,
			report.Exit{Lines: []string{"BT_CONSOLE=ttyS0,115200", "BT_MAC=aa:bb:cc:dd:ee:ff", "BT_SEEDER=192.0.2.1",
				"BT_SYSTEM=check", "TERM=vt220"}}},
		{"a terminal of its own", "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && ps -o pid= -o sid= -p $$ | " +
			"awk '{print ($1 == $2) ? \"leads\" : \"follows\"}'", nil, report.Exit{Lines: []string{"leads"}}},
		{"its folder", "test -f tools/prog && echo here", nil, report.Exit{Lines: []string{"here"}}},
		{"a signal", "kill -SEGV $$", nil, report.Exit{Code: 139, Reason: "killed by a signal: segmentation fault"}},
		{"both outputs", "echo out; echo err >&2; exit 1", nil, report.Exit{Code: 1, Lines: []string{"out", "err"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := script(t, tt.text, tt.args...)
			if g.Face() != FaceTerminal {
				t.Errorf("face %v", g.Face())
			}
			within(t, "the program's end", g.Done())
			tt.want.System = "check"
			if got := g.Exit(); got.Code != tt.want.Code || got.Reason != tt.want.Reason || got.System != "check" ||
				!slices.Equal(got.Lines, tt.want.Lines) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// What runs before the first Attach, and between two, is shown by the next one.
func TestBinAttach(t *testing.T) {
	t.Parallel()
	g := script(t, `echo early; read a; echo "got $a"; stty size; read b; stty size; read c; echo bye; exit 0`)
	first := newFakeTerminal(t)
	result := attached(t, g, first)
	first.wait(t, "early")
	first.typeKeys(t, "one\r")
	first.wait(t, "got one")
	first.wait(t, "43 132")
	if err := g.Attach(t.Context(), newFakeTerminal(t)); err == nil || !strings.Contains(err.Error(), "another console") {
		t.Errorf("a second console at the same time: %v", err)
	}
	first.resize(100, 30)
	// The line ends only after the size is there: the program reads it then.
	waitSize(t, g, 100, 30)
	first.typeKeys(t, "two\r")
	first.wait(t, "30 100")
	first.typeKeys(t, "thr\x1dlost")
	if err := within(t, "leaving", result); !errors.Is(err, ErrLeft) {
		t.Fatalf("left by the keyboard: %v", err)
	}
	select {
	case <-g.Done():
		t.Fatal("the program ended")
	default:
	}

	second := newFakeTerminal(t)
	result = attached(t, g, second)
	for _, want := range []string{"early", "got one", "30 100", "thr"} {
		second.wait(t, want)
	}
	second.typeKeys(t, "ee\r")
	if err := within(t, "the guest's end", result); err != nil {
		t.Errorf("the guest ended: %v", err)
	}
	if !strings.Contains(second.text(), "bye") || strings.Contains(second.text(), "lost") {
		t.Errorf("the second terminal shows %q", second.text())
	}
	// After its end it can be looked at once more.
	third := newFakeTerminal(t)
	if err := g.Attach(t.Context(), third); err != nil || !strings.Contains(third.text(), "bye") {
		t.Errorf("after the end: %v, %q", err, third.text())
	}
}

func waitSize(t *testing.T, g Guest, width, height int) {
	t.Helper()
	l := g.(*guest).line
	eventually(t, fmt.Sprintf("the size %dx%d", width, height), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.width == width && l.height == height
	})
}

func TestBinAttachEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g := script(t, "echo here; read x")
	ctx, cancel := context.WithCancel(t.Context())
	tty := newFakeTerminal(t)
	result := make(chan error, 1)
	go func() { result <- g.Attach(ctx, tty) }()
	tty.wait(t, "here")
	cancel()
	if err := within(t, "the end", result); err != nil {
		t.Error(err)
	}
	// A console that is taken back is an error.
	lost := newFakeTerminal(t)
	again := attached(t, g, lost)
	lost.wait(t, "here")
	lost.keyboard.Close()
	if err := within(t, "the end", again); err == nil || !strings.Contains(err.Error(), "ttyT0") {
		t.Errorf("taken back: %v", err)
	}
}

// More output than is kept, to a terminal that takes all of it, and to one attached afterwards.
func TestBinMuchOutput(t *testing.T) {
	t.Parallel()
	g := script(t, `read go; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i"; done; read x; exit 0`)
	tty := newFakeTerminal(t)
	result := attached(t, g, tty)
	tty.typeKeys(t, "\r")
	tty.wait(t, "line 20000\r\n")
	text := tty.text()
	for i := 1; i <= 20000; i++ {
		want := "line " + strconv.Itoa(i) + "\r\n"
		at := strings.Index(text, want)
		if at < 0 {
			t.Fatalf("%q is missing", want)
		}
		text = text[at+len(want):]
	}
	tty.typeKeys(t, "\x1d")
	within(t, "leaving", result)
	later := newFakeTerminal(t)
	attached(t, g, later)
	later.wait(t, "line 20000\r\n")
	if first, _, _ := strings.Cut(later.text(), "\r\n"); !strings.HasPrefix(first, "line 1") || len(later.text()) > tapeSize {
		t.Errorf("%d bytes that begin with %q", len(later.text()), first)
	}
}

// A program that reads nothing, with a terminal full of what was typed, can be left and ended.
func TestBinThatDoesNotListen(t *testing.T) {
	t.Parallel()
	g := script(t, `stty raw -echo; trap '' HUP TERM; echo raw; while :; do sleep 100; done`)
	tty := newFakeTerminal(t)
	result := attached(t, g, tty)
	tty.wait(t, "raw")
	tty.typeKeys(t, strings.Repeat("x", 20000))
	tty.typeKeys(t, "\x1d")
	if err := within(t, "leaving", result); !errors.Is(err, ErrLeft) {
		t.Error(err)
	}
	g.Stop() // by force
	if e := g.Exit(); e.Code != 137 || e.Reason != "ended by this node" {
		t.Errorf("exit %+v", e)
	}
}

func TestBinStopAsksFirst(t *testing.T) {
	t.Parallel()
	g := script(t, `trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done`)
	tty := newFakeTerminal(t)
	attached(t, g, tty)
	tty.wait(t, "ready")
	g.Stop()
	g.Stop()
	if e := g.Exit(); e.Code != 7 || !slices.Contains(e.Lines, "asked") {
		t.Errorf("exit %+v", e)
	}
}

// Nothing of its session outlives a program: neither when it ends by itself nor when it is stopped.
func TestBinLeavesNobodyBehind(t *testing.T) {
	for name, text := range map[string]string{
		"ends":    `(trap '' HUP TERM; while :; do sleep 0.1; done) & echo "sid $$"; exit 0`,
		"stopped": `(trap '' HUP TERM; while :; do sleep 0.1; done) & echo "sid $$"; while :; do sleep 0.1; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := script(t, text)
			tty := newFakeTerminal(t)
			attached(t, g, tty)
			tty.wait(t, "sid ")
			sid := g.(*guest).process.cmd.Process.Pid
			if name == "stopped" {
				g.Stop()
			}
			within(t, "the end", g.Done())
			if left := sessionMembers(sid); len(left) > 0 {
				t.Errorf("still running: %v", left)
			}
			if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", sid)); err == nil && strings.Contains(string(stat), " Z ") {
				t.Errorf("a zombie: %s", stat)
			}
		})
	}
}

// A program that a child forked meanwhile still has open for writing is started as soon as it no longer has.
func TestBinOpenForWriting(t *testing.T) {
	t.Parallel()
	need.File(t, "/bin/sh", "dash")
	job := binJob(t, "#!/bin/sh\nexit 7\n")
	writer, err := os.OpenFile(filepath.Join(job.Dir, "tools/prog"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = writer.Close() })
	g := run(t, job)
	within(t, "the end", g.Done())
	if e := g.Exit(); e.Code != 7 {
		t.Errorf("exit %+v", e)
	}
}

// A process that waits for a device can't be killed: it is told of, rather than waited for.
func TestGuestThatDoesNotEnd(t *testing.T) {
	g := &guest{name: "stuck", process: &process{ended: make(chan struct{})}}
	if e := g.Exit(); e.System != "stuck" || e.Code != 0 || e.Reason != "" {
		t.Errorf("as long as it runs: %+v", e)
	}
	g.process.stopped.Store(true) // as stop leaves it
	if e := g.Exit(); e.System != "stuck" || e.Code != 1 || !strings.Contains(e.Reason, "does not end") {
		t.Errorf("%+v", e)
	}
}

func TestParseStat(t *testing.T) {
	for stat, want := range map[string]string{
		"7 (sh) S 1 7 5 0 -1":       "7 5 true",
		"7 (a) b (c)) R 1 7 5 0 -1": "7 5 true",
		"7 (sh) Z 1 7 5 0 -1":       "7 5 false",
		"":                          "0 0 false",
		"7 (sh) S":                  "0 0 false",
		"x (sh) S 1 7 5 0":          "0 0 false",
	} {
		pid, sid, alive := parseStat(stat)
		if got := fmt.Sprint(pid, sid, alive); got != want {
			t.Errorf("%q: %s, want %s", stat, got, want)
		}
	}
}

// The kernel kills a guest before the node's own programs.
func TestGuestsAreKilledFirst(t *testing.T) {
	g := script(t, "read x")
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", g.(*guest).process.cmd.Process.Pid))
	if err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(oomScore) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestBin32Bit(t *testing.T) {
	need.Programs32(t, "TestGuestsOfOneNode")
	dir := t.TempDir()
	path := filepath.Join(dir, "p")
	build(t, dir, path, "386", `package main
import "os"
func main() { println(os.Args[1]); os.Exit(3) }`)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := run(t, binJob(t, string(b), "hello"))
	within(t, "the end", g.Done())
	if e := g.Exit(); e.Code != 3 || !slices.Equal(e.Lines, []string{"hello"}) {
		t.Errorf("exit %+v", e)
	}
}

// build builds a Go program.
func build(t *testing.T, dir, to, arch, source string, flags ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append(append([]string{"build", "-ldflags=-s -w", "-o", to}, flags...), "main.go")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GO111MODULE=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

func TestBinThatCannotBeRun(t *testing.T) {
	m := &binMethod{workspace: plainWorkspace, available: func() (int64, error) { return 1 << 30, nil }}
	err := m.Load(t.Context(), binJob(t, "MZ\x90"))
	if err == nil || !strings.HasPrefix(err.Error(), "start check: tools/prog can't be run: it is no program for Linux") {
		t.Error(err)
	}
	if err := m.Load(t.Context(), binJob(t, "#!/bin/sh\n", "{{.Nonsense}}")); err == nil || !strings.Contains(err.Error(), "Nonsense") {
		t.Error(err)
	}
	outside := binJob(t, "#!/bin/sh\n")
	outside.System.Launch.Bin.Program = "../x"
	if err := m.Load(t.Context(), outside); err == nil || !strings.Contains(err.Error(), "leaves the system's folder") {
		t.Error(err)
	}
	// An ELF header and nothing behind it is what only the kernel refuses.
	job := binJob(t, "\x7fELF")
	if err := os.Chmod(filepath.Join(job.Dir, "tools/prog"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Start(t.Context(), job); err == nil || !strings.Contains(err.Error(), "tools/prog can't be run") {
		t.Error(err)
	}
	m.workspace = noOverlay
	if _, err := m.Start(t.Context(), binJob(t, "#!/bin/sh\n")); !errors.Is(err, errNoOverlay) ||
		!strings.Contains(err.Error(), "kept apart") {
		t.Error(err)
	}
}

func TestTerm(t *testing.T) {
	for console, want := range map[string]string{"tty0": "linux", "tty1": "linux", "ttyS0": "vt220", "ttyS0,115200n8": "vt220",
		"ttyAMA0": "vt220", "hvc0": "vt220", "": "vt220", "tty": "vt220"} {
		if got := term(console); got != want {
			t.Errorf("%q: %s, want %s", console, got, want)
		}
	}
}

func TestExplainExec(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENOEXEC: "32-bit", unix.ENOENT: "not there", unix.EACCES: "does not let", unix.ENOMEM: "memory", unix.E2BIG: "binargs:",
		unix.EIO: "input/output",
	} {
		got := explainExec(err)
		if !errors.Is(got, err) {
			t.Errorf("%v is lost: %v", err, got)
		}
		checkWords(t, err.Error(), got, want)
	}
}
