// Demo shows BootTorrent in one machine: it makes a site with two systems, starts a seeder beside an ordinary DHCP server,
// and switches on a room of machines (QEMU) that have nothing but a network card.
//
// Synopsis:
//
//	demo [--nodes N] [--site DIR] [--memory MIB] [--link MBIT] [--size MIB] [--plain] [--deadline TIME]
//	demo attach SOCKET
//
// On a terminal with tmux there is a window for each machine's console, where one can choose, and one for the seeder.
// Otherwise, and with --plain, what the nodes report is printed. In the end a table says what came from whom, how long
// each step took, and how long the same room would have taken from the seeder alone. It needs root. `make demo` installs
// what else it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

type options struct {
	nodes    int
	site     string
	plain    bool
	deadline time.Duration
	memory   int
	// link is the seeder's upload in Mbit/s; 0 is the default.
	link float64
	// size is how much the default system weighs beside its kernel and a small initrd, in MiB.
	size int64
}

// seederLink, or emulatedLink where the machines are emulated, and tinySize are the link and the size without options. The seeder's link
// is to be the bottleneck, that of a laptop on a poor WiFi. Three emulated machines share two processors with what they send: where those
// were slow, each received 0.7 MB/s, and with 8 Mbit/s 51 to 55 % came from the others. The size is enough to watch it being shared.
const (
	seederLink   = 8
	emulatedLink = 3
	tinySize     = 24
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "attach" {
		return attach(args[1])
	}
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.IntVar(&o.nodes, "nodes", 3, "how many machines")
	flags.StringVar(&o.site, "site", "demo-site", "the site's folder; kept, so that the next demo is quicker")
	flags.BoolVar(&o.plain, "plain", false, "no tmux, only text")
	flags.IntVar(&o.memory, "memory", 1024, "MiB of memory for each machine")
	flags.Float64Var(&o.link, "link", 0, fmt.Sprintf("the seeder's upload in `Mbit/s`; 0 is %d, %d where the machines are emulated", seederLink, emulatedLink))
	flags.Int64Var(&o.size, "size", tinySize, "`MiB` of the default system beside its kernel")
	flags.DurationVar(&o.deadline, "deadline", 15*time.Minute, "with --plain: give up after this time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || o.nodes < 1 || o.link < 0 || o.size < 0 {
		return errors.New("want --nodes of at least 1, --link of 0 or more, --size of at least 0, and no other arguments; see demo --help")
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, for network namespaces; run it as: make demo")
	}
	if _, err := exec.LookPath("tmux"); err != nil || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		o.plain = true
	}
	d, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer d.close()
	if o.plain {
		err = d.watchPlain(ctx)
	} else {
		err = d.watchTmux(ctx)
	}
	d.table(os.Stdout)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
