package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/u-root/gobusybox/src/pkg/bb"
	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/cpio"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/mkuimage/uimage/builder"
	"github.com/u-root/mkuimage/uimage/initramfs"
	"github.com/u-root/uio/llog"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// binaries is the folder of the commands in the initramfs.
const binaries = "bbin"

// godebug goes into the main package; %s is the go line of go.mod. gobusybox compiles without modules, where Go would take
// it for a program of 2021 and give it the timers, TLS and HTTP of Go 1.16 (https://go.dev/doc/godebug).
const godebug = "//go:debug default=go%s\n\npackage main\n"

// Build compiles the commands and returns them as records: bbin/bb, bbin/NAME for each, init and bin/sh. It takes a minute
// or more unless Go's build cache has most of it. temp is an empty folder for what comes and goes.
func (p *Plan) Build(ctx context.Context, temp string, watch Watch) ([]cpio.Record, error) {
	env := golang.Default(golang.DisableCGO(), golang.WithGOROOT(p.goroot), golang.WithGOOS("linux"),
		golang.WithGOARCH(string(p.arch)), golang.WithWorkingDir(p.source), golang.WithBuildTag(tags...))
	var messages []string
	log := llog.New(slog.LevelInfo, func(format string, args ...any) {
		messages = append(messages, strings.TrimSpace(fmt.Sprintf(format, args...)))
	})
	made := cpio.InMemArchive()
	err := uimage.Create(log,
		uimage.WithReplaceEnv(env),
		uimage.WithTempDir(temp),
		uimage.WithCommands(nil, &busybox{ctx: ctx, arch: p.arch, language: p.language, release: p.release, watch: watch, total: p.total}, p.packages...),
		uimage.WithInit("init"),
		uimage.WithShell(Shell),
		uimage.WithSkipLDD(),
		uimage.WithOutput(&initramfs.Archive{Archive: made}),
	)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("compile the node's commands: %w", ctx.Err())
		}
		return nil, fmt.Errorf("compile the node's commands: %w\n%s", err, strings.Join(messages, "\n"))
	}
	var records []cpio.Record
	for _, name := range made.Order {
		// Folders are added again by whoever writes the archive.
		if r := made.Files[name]; name != cpio.Trailer && r.Mode&cpio.S_IFMT != cpio.S_IFDIR {
			records = append(records, r)
		}
	}
	return records, nil
}

// busybox is uimage's builder of that kind with our own settings for the compiler: uimage's compiles everything anew each
// time, and leaves GODEBUG to chance.
type busybox struct {
	ctx               context.Context
	arch              arch.Arch
	language, release string
	watch             Watch
	// total is how many packages there are to compile if none is in Go's cache.
	total int
}

// DefaultBinaryDir implements builder.Builder.
func (*busybox) DefaultBinaryDir() string { return binaries }

// Build implements builder.Builder.
func (b *busybox) Build(log *llog.Logger, files *initramfs.Files, opts builder.Opts) error {
	// gobusybox writes all sources into a GOPATH, the commands' main packages changed into libraries.
	gopath := filepath.Join(opts.TempDir, "go")
	ended := b.watch.step("make one program of the commands")
	// It takes no context, and nothing that it does outlives the process.
	generated := make(chan error, 1)
	go func() {
		generated <- bb.BuildBusybox(log.AtLevel(slog.LevelInfo), &bb.Opts{
			Env: opts.Env, GenSrcDir: gopath, CommandPaths: opts.Packages, GenerateOnly: true,
		})
	}()
	var err error
	select {
	case err = <-generated:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("make one program of the commands: %w", err)
	}
	mainDir := filepath.Join(gopath, "src/bb.u-root.com/bb")
	if err := os.WriteFile(filepath.Join(mainDir, "godebug.go"), fmt.Appendf(nil, godebug, b.language), 0o644); err != nil {
		return err
	}
	program := filepath.Join(opts.TempDir, "bb")
	ended()
	ended = b.watch.step(compileStep)
	if err := b.compile(opts.Env, gopath, mainDir, program); err != nil {
		return err
	}
	ended()
	// The records outlive the folder.
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	if err := files.AddRecord(cpio.StaticFile(path.Join(binaries, "bb"), string(content), 0o755)); err != nil {
		return err
	}
	for _, name := range names(opts.Packages) {
		if err := files.AddRecord(cpio.Symlink(path.Join(binaries, name), "bb")); err != nil {
			return err
		}
	}
	return nil
}

// compile runs go build in dir. Later variables of the same name count.
func (b *busybox) compile(env *golang.Environ, gopath, dir, program string) error {
	flags, settings := Compiler(b.arch, b.release)
	// With -v it prints the name of each package that it compiles.
	args := slices.Concat([]string{"build", "-v", "-o", program}, flags, []string{"."})
	cmd := exec.CommandContext(b.ctx, filepath.Join(env.GOROOT, "bin", "go"), args...)
	// Interrupted rather than killed, go ends its compilers and removes what they were writing.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env.Copy(golang.WithGO111MODULE("off"), golang.WithGOPATH(gopath)).Env()...)
	cmd.Env = append(append(cmd.Env, settings...), "GOTMPDIR="+filepath.Dir(gopath))
	out := &compiled{told: func(packages int) { b.watch.counted(compileStep, packages, b.total) }}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("go build: %w", err), errors.New(out.complaints()))
	}
	return nil
}
