// Package cli is what the two commands of the seeder's machine, seeder and mkimage, do alike: they parse a command line
// (github.com/alecthomas/kong), run the command it names until that ends or somebody interrupts it, and say by their exit
// code how it went.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/version"
)

// Exit codes.
const (
	// ExitOK is well, ExitFailed a failure, ExitUsage a wrong command line.
	ExitOK = iota
	ExitFailed
	ExitUsage
)

// Terminal is what a command reads and writes. Commands get it by kong's binding, as they get a context.Context.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
}

// ErrReported ends a command that has already told why.
var ErrReported = errors.New("reported")

// UsageError is a mistake on the command line that its parser doesn't see.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e UsageError) Unwrap() error { return e.Err }

// VersionCmd is the command that prints the version.
type VersionCmd struct{}

// Run prints it.
func (VersionCmd) Run(term Terminal, v versionText) error {
	_, err := fmt.Fprintln(term.Out, v)
	return err
}

// versionText is the line that the version is printed as.
type versionText string

// Program is one of the two.
type Program struct {
	Name string
	// Grammar is a pointer to a struct of kong's tags; it is filled in.
	Grammar any
	Options []kong.Option
}

// Main runs the program with this process's arguments and ends the process. An interrupt, a request to terminate and a terminal that
// is closed end the command's context; a second one ends the process at once.
func Main(p Program) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as by nohup(1)
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	code := p.Run(ctx, os.Args[1:], Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// exited carries kong's wish to exit (after --help) out of its parser.
type exited int

// Run executes one command line and returns the exit code.
func (p Program) Run(ctx context.Context, args []string, term Terminal) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	line := version.String(p.Name)
	parser, err := kong.New(p.Grammar, append([]kong.Option{
		kong.Name(p.Name), kong.Writers(term.Out, term.Err), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.Vars{"version": line}, kong.Bind(versionText(line)),
	}, p.Options...)...)
	if err != nil {
		fmt.Fprintf(term.Err, "%s: %v\n", p.Name, err)
		return ExitFailed
	}
	kongcompletion.Register(parser)
	for _, arg := range args {
		if !utf8.ValidString(arg) {
			// The parser would make another name of it.
			return p.usage(term, fmt.Errorf("%q is not UTF-8; go into that folder and name it . (a dot), or rename it", arg))
		}
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help") // as in git help COMMAND
	}
	command, err := parser.Parse(args)
	if err != nil {
		return p.usage(term, err, selected(err)...)
	}
	command.BindTo(ctx, (*context.Context)(nil))
	switch err := command.Run(term); {
	case err == nil:
		return ExitOK
	case errors.As(err, new(UsageError)):
		return p.usage(term, err, words(command)...)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(term.Err, "%s: interrupted\n", p.Name)
	case !errors.Is(err, ErrReported):
		fmt.Fprintf(term.Err, "%s: %v\n", p.Name, err)
	}
	return ExitFailed
}

// usage says what is wrong with a command line, and where the help of its command is, which the words select.
func (p Program) usage(term Terminal, err error, words ...string) int {
	help := strings.Join(slices.Concat([]string{p.Name}, words, []string{"--help"}), " ")
	fmt.Fprintf(term.Err, "%s: %v\n%[1]s: see '%[3]s'\n", p.Name, err, help)
	return ExitUsage
}

// selected are the words of the command that a command line was for which the parser refuses.
func selected(err error) []string {
	var refused *kong.ParseError
	if !errors.As(err, &refused) {
		return nil
	}
	return words(refused.Context)
}

// words are those of the selected command; none for the one that needs none.
func words(c *kong.Context) []string {
	if c == nil || c.Selected() == nil {
		return nil
	}
	var words []string
	for n := c.Selected(); n != nil && n.Type == kong.CommandNode; n = n.Parent {
		if n.Tag.Default == "" {
			words = append([]string{n.Name}, words...)
		}
	}
	return words
}

// Quote is a path as a person can paste it into a shell's command line.
func Quote(path string) string { return shellquote.Join(path) }
