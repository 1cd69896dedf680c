// Gosh is the shell: /bin/sh.
//
// Synopsis:
//
//	sh [-c COMMAND] [SCRIPT [ARGUMENT...]]
//
// Description:
//
// Without arguments it reads commands from standard input. On a terminal it shows a prompt, survives what it can't parse,
// and is left with exit or Ctrl-D; Ctrl-C ends the command that runs. The language is that of mvdan.cc/sh, which is much
// of POSIX's and bash's. There is no line editor and no job control.
//
// It takes the place of u-root's command of the same name, which exit does not leave after a command that failed, and
// which ends at a syntax error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// shell is one run of the command.
type shell struct {
	// in is a file because commands that are started read on where the shell stopped.
	in       *os.File
	out, err io.Writer
	// terminal is whether in is one.
	terminal bool
}

func main() {
	// A key that ends a command must not end the shell. To ignore the signal instead would be inherited by the command.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	s := &shell{in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: term.IsTerminal(int(os.Stdin.Fd()))}
	os.Exit(s.run(context.Background(), os.Args[1:]))
}

// run does what the arguments say and returns the exit status.
func (s *shell) run(ctx context.Context, args []string) int {
	var source io.Reader = s.in
	name := ""
	switch {
	case len(args) > 0 && args[0] == "-c":
		if len(args) < 2 {
			fmt.Fprintln(s.err, "sh: -c wants a command")
			return 2
		}
		// Unlike POSIX's, ours has no use for a $0.
		source, args = strings.NewReader(args[1]), args[2:]
	case len(args) > 0:
		f, err := os.Open(args[0])
		if err != nil {
			fmt.Fprintln(s.err, "sh:", err)
			return 127
		}
		defer f.Close()
		source, name, args = f, args[0], args[1:]
	}
	runner, err := interp.New(interp.StdIO(s.in, s.out, s.err), interp.Params(append([]string{"--"}, args...)...))
	if err != nil {
		fmt.Fprintln(s.err, "sh:", err)
		return 1
	}
	if source == io.Reader(s.in) && s.terminal {
		return s.interactive(ctx, runner)
	}
	return s.script(ctx, runner, source, name)
}

// script runs all of source.
func (s *shell) script(ctx context.Context, runner *interp.Runner, source io.Reader, name string) int {
	file, err := syntax.NewParser().Parse(source, name)
	if err != nil {
		fmt.Fprintln(s.err, "sh:", err)
		return 2
	}
	return s.status(runner.Run(ctx, file))
}

// interactive reads and runs commands until exit, or the end of the input.
func (s *shell) interactive(ctx context.Context, runner *interp.Runner) int {
	status, left := 0, false
	parser := syntax.NewParser()
	onLine := func(statements []*syntax.Stmt) bool {
		if parser.Incomplete() {
			fmt.Fprint(s.out, "> ")
			return true
		}
		for _, statement := range statements {
			status = s.one(ctx, runner, statement)
			if left = runner.Exited(); left {
				return false
			}
		}
		s.prompt(runner)
		return true
	}
	s.prompt(runner)
	for {
		err := parser.Interactive(s.in, onLine)
		var syntaxError syntax.ParseError
		if left || !errors.As(err, &syntaxError) {
			return status
		}
		fmt.Fprintln(s.err, "sh:", err)
		s.prompt(runner)
	}
}

// one runs a statement; Ctrl-C ends it. Its context does not end with it, because what it left in the background goes on.
func (s *shell) one(ctx context.Context, runner *interp.Runner, statement *syntax.Stmt) int {
	ctx, interrupt := context.WithCancel(ctx)
	interrupts, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	defer close(done)
	go func() {
		select {
		case <-interrupts:
			interrupt()
		case <-done:
		}
	}()
	return s.status(runner.Run(ctx, statement))
}

// prompt names the current folder.
func (s *shell) prompt(runner *interp.Runner) { fmt.Fprintf(s.out, "%s # ", runner.Dir) }

// status is the exit status that a run's error stands for. What is no exit status is said: a command that was not found
// said so itself.
func (s *shell) status(err error) int {
	if err == nil {
		return 0
	}
	if status, ok := interp.IsExitStatus(err); ok {
		return int(status)
	}
	if !errors.Is(err, context.Canceled) {
		fmt.Fprintln(s.err, "sh:", err)
	}
	return 1
}
