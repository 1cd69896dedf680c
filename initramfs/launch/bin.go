package launch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/program"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// binRoom is the least memory for a program: the catalog doesn't say what it takes.
	binRoom = 32 << 20
	// leastWritten is the least room for what a guest writes.
	leastWritten = 16 << 20
)

// binMethod runs a program of the system on the node, on a terminal of its own.
type binMethod struct {
	// What tests replace.
	workspace func(job Job, size int64) (*workspace, error)
	available func() (int64, error)
}

func newBin() *binMethod { return &binMethod{workspace: newWorkspace, available: Available} }

// Leaves implements [Method].
func (*binMethod) Leaves() bool { return false }

// Need implements [Method].
func (*binMethod) Need(catalog.System, catalog.FileList) Memory {
	return Memory{Copies: binRoom, What: "room for the program"}
}

// Load implements [Method]: it looks at the program and makes all files executable, as it may run any of them, and catalogs and
// torrents have no modes. This changes nothing of what is being seeded.
func (*binMethod) Load(ctx context.Context, job Job) error {
	bin := job.System.Launch.Bin
	if _, err := job.path(bin.Program); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", job.System.Name, err)
	}
	if _, err := expandAll(bin.Args, job.Vars); err != nil {
		return fmt.Errorf("start %s: its arguments: %w", job.System.Name, err)
	}
	if err := checkProgram(job.Dir, bin.Program); err != nil {
		return fmt.Errorf("start %s: %w", job.System.Name, err)
	}
	if err := makeExecutable(job.Dir); err != nil {
		return fmt.Errorf("start %s: make its files executable: %w", job.System.Name, err)
	}
	return nil
}

// Start implements [Method].
func (m *binMethod) Start(_ context.Context, job Job) (Guest, error) {
	fail := func(err error) (Guest, error) { return nil, fmt.Errorf("start %s: %w", job.System.Name, err) }
	available, err := m.available()
	if err != nil {
		return fail(err)
	}
	w, err := m.workspace(job, max(leastWritten, (available-Reserve)/2))
	if err != nil {
		return fail(err)
	}
	g, err := startBin(job, w)
	if err != nil {
		return fail(errors.Join(err, w.close()))
	}
	return g, nil
}

// startBin starts the program in a workspace.
func startBin(job Job, w *workspace) (*guest, error) {
	bin := job.System.Launch.Bin
	args, err := expandAll(bin.Args, job.Vars)
	if err != nil {
		return nil, err
	}
	l, slave, err := newLine()
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	cmd := exec.Command(filepath.Join(w.dir, filepath.FromSlash(bin.Program)), args...)
	cmd.Dir, cmd.Env = w.dir, binEnvironment(job.Vars)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setctty: true} // of descriptor 0
	g := &guest{name: job.System.Name, face: FaceTerminal, line: l, workspace: w}
	job.logf("launch: running %s with the arguments %q", bin.Program, args)
	g.process, err = start(cmd, func(exit *report.Exit) {
		l.drain()
		exit.System, exit.Lines = job.System.Name, tail(l.tape.content())
	})
	if err != nil {
		_ = l.master.Close()
		return nil, fmt.Errorf("%s can't be run: %w", bin.Program, explainExec(err))
	}
	go l.run()
	return g, nil
}

// binEnvironment is what a program finds in its environment.
func binEnvironment(vars map[string]string) []string {
	env := append(baseEnvironment(), "TERM="+term(vars["Console"]))
	for name, value := range vars {
		env = append(env, "BT_"+strings.ToUpper(name)+"="+value)
	}
	slices.Sort(env)
	return env
}

// baseEnvironment is what every program gets of the node's own environment; no more, as there could be secrets in it.
func baseEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// term is the value of TERM for a console as the placeholder {{.Console}} has it (tty0; ttyS0,115200): a virtual terminal of the
// kernel is a linux, and at the other end of a serial line is taken to be a vt220, as package console does.
func term(console string) string {
	name, _, _ := strings.Cut(console, ",")
	if number, ok := strings.CutPrefix(name, "tty"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
		return "linux"
	}
	return "vt220"
}

// expandAll expands the placeholders in every word, which stays one.
func expandAll(words []string, vars map[string]string) ([]string, error) {
	expanded := make([]string, len(words))
	for i, w := range words {
		var err error
		if expanded[i], err = catalog.Expand(w, vars); err != nil {
			return nil, err
		}
	}
	return expanded, nil
}

// checkProgram says why a file of a folder can't be run on this node; nil if nothing speaks against it.
func checkProgram(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = program.Check(root.FS(), name, runtime.GOARCH)
	var reason *program.Error
	if errors.As(err, &reason) {
		return fmt.Errorf("%s can't be run: it %w", name, err)
	}
	return err
}

// makeExecutable makes every file of a folder executable.
func makeExecutable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o111 == 0o111 {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o111)
	})
}

// explainExec says what an error of starting a program means that passed checkProgram (execve(2)).
func explainExec(err error) error {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("the kernel does not know its format, or runs no 32-bit programs (CONFIG_IA32_EMULATION): %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("it, or the loader or interpreter it needs, is not there: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the kernel does not let it run: %w", err)
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("there is not enough memory for it: %w; choose a smaller system or restart the node", err)
	case errors.Is(err, unix.E2BIG):
		return fmt.Errorf("its arguments are too long: %w; shorten binargs: in its config.yaml", err)
	}
	return err
}
