// Seeder serves a room of machines that boot from the network: it makes, checks and serves a site directory.
//
// Synopsis:
//
//	seeder init DIR [--name NAME]
//	seeder check DIR
//	seeder serve DIR
//	seeder version
//
// Exit codes: 0 all is well, 1 the site has problems or something failed, 2 the command line is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
)

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// commands is the command line.
type commands struct {
	Init       initCmd                   `cmd:"" help:"Make a new site directory."`
	Check      checkCmd                  `cmd:"" help:"Check a site directory and print every problem in it."`
	Serve      serveCmd                  `cmd:"" help:"Serve a site: DHCP, TFTP, HTTP, tracker and seed, until interrupted."`
	Version    versionCmd                `cmd:"" help:"Print the version."`
	Completion kongcompletion.Completion `cmd:"" help:"Print a line for your shell's start-up file that completes these commands."`
}

// terminal is where a command writes.
type terminal struct {
	Out, Err io.Writer
}

// errReported ends a command that has already told why.
var errReported = errors.New("reported")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], terminal{Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// exited carries kong's wish to exit (after --help) out of its parser.
type exited int

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, term terminal) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("seeder"),
		kong.Description("Boots a room of machines over the network in about the time one of them needs."),
		kong.Writers(term.Out, term.Err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(term.Err, "seeder:", err)
		return exitFailed
	}
	kongcompletion.Register(parser)
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(term.Err, "seeder: %v\nseeder: see 'seeder --help'\n", err)
		return exitUsage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	switch err := command.Run(term); {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
	default:
		fmt.Fprintln(term.Err, "seeder:", err)
	}
	return exitFailed
}
