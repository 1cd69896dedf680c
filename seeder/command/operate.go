package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// running says what to do where no seeder serves a site.
func running(dir string, err error) error {
	if errors.Is(err, daemon.ErrNotRunning) {
		return fmt.Errorf("%w; start it with: %s serve %s", err, self.Seeder(), cli.Quote(dir))
	}
	return err
}

type wakeCmd struct {
	Dir     string   `arg:"" help:"The site directory."`
	Targets []string `arg:"" name:"target" help:"Machines by name, host name, IP or MAC address, groups, or all."`
}

// Run has the running seeder send Wake-on-LAN packets.
func (c wakeCmd) Run(ctx context.Context, term terminal) error {
	var woken api.Woken
	if err := (daemon.Control{Dir: c.Dir}).Post(ctx, "wake", api.Request{Targets: c.Targets}, &woken); err != nil {
		return running(c.Dir, err)
	}
	var on []string
	for _, s := range woken.Sent {
		if s.Error != "" {
			fmt.Fprintln(term.Err, s.Error)
			continue
		}
		on = append(on, s.Interface)
	}
	if len(on) == 0 {
		return cli.ErrReported
	}
	for _, m := range woken.Machines {
		fmt.Fprintf(term.Out, "%s: magic packet sent on %s\n", called(m.Name, m.MAC), strings.Join(on, ", "))
	}
	_, err := fmt.Fprintf(term.Out, "Which of them start, this shows: %s nodes %s --watch\n", self.Seeder(), cli.Quote(c.Dir))
	return err
}

type nextCmd struct {
	Dir   string   `arg:"" help:"The site directory."`
	Words []string `arg:"" optional:"" name:"target" help:"Machines by name, host name, IP or MAC address, groups, or all; and then what they start: a system, local (the machine's own disk) or menu. Without them, what was said is shown."`
	Once  bool     `help:"Each machine does so once. What is left of it ends after a week."`
	Clear bool     `help:"Take away what was said of the targets."`
}

// Run says what machines start the next time, or shows or takes away what was said.
func (c nextCmd) Run(ctx context.Context, term terminal) error {
	control := daemon.Control{Dir: c.Dir}
	var got api.Next
	switch {
	case c.Clear:
		if err := control.Post(ctx, "next/clear", api.Request{Targets: c.Words}, &got); err != nil {
			return running(c.Dir, err)
		}
		if len(got.Next) == 0 {
			_, err := fmt.Fprintln(term.Out, "Nothing was said of them.")
			return err
		}
		return c.show(ctx, term, "no longer ", got.Next)
	case len(c.Words) == 0:
		if err := control.Get(ctx, "next", &got); err != nil {
			return running(c.Dir, err)
		}
		if len(got.Next) == 0 {
			_, err := fmt.Fprintln(term.Out, "Nothing is said; machines start what the site and their groups say.")
			return err
		}
		return c.show(ctx, term, "", got.Next)
	case len(c.Words) == 1:
		return cli.UsageError{Err: fmt.Errorf("name targets, and then what they start: %s SYSTEM, or local, or menu; or --clear", c.Words[0])}
	}
	last := len(c.Words) - 1
	request := api.Request{Targets: c.Words[:last], What: c.Words[last], Once: c.Once}
	if err := control.Post(ctx, "next", request, &got); err != nil {
		return running(c.Dir, err)
	}
	return c.show(ctx, term, "", got.Next)
}

// show prints entries, one a line.
func (c nextCmd) show(ctx context.Context, term terminal, before string, entries []next.Entry) error {
	var nodes api.Nodes
	if err := (daemon.Control{Dir: c.Dir}).Get(ctx, "nodes", &nodes); err != nil {
		return running(c.Dir, err)
	}
	for _, e := range entries {
		whom, what := e.MAC, e.What
		for _, m := range nodes.Machines {
			if m.MAC == e.MAC {
				whom = called(cmp.Or(m.Name, m.Hostname), m.MAC)
			}
		}
		switch {
		case e.Group == catalog.GroupAll:
			whom = "all machines"
		case e.Group != "":
			whom = "group " + e.Group
		}
		if e.Once {
			what += ", once"
		}
		if len(e.Done) > 0 {
			what += fmt.Sprintf(" (%s so far)", text.Count(len(e.Done), "machine"))
		}
		if _, err := fmt.Fprintf(term.Out, "%s: %snext %s\n", whom, before, what); err != nil {
			return err
		}
	}
	return nil
}

// orderFlags are what commands that give orders have in common.
type orderFlags struct {
	Dir     string        `arg:"" help:"The site directory."`
	Targets []string      `arg:"" name:"target" help:"Machines by name, host name, IP or MAC address, groups, or all."`
	Wait    time.Duration `default:"90s" help:"How long to wait for the machines' reports; then the order is dropped. At most 10m."`
}

type rebootCmd struct{ orderFlags }

// Run has machines restart.
func (c rebootCmd) Run(ctx context.Context, term terminal) error {
	return c.give(ctx, term, order.Reboot, c.Targets, "")
}

type poweroffCmd struct{ orderFlags }

// Run has machines switch off.
func (c poweroffCmd) Run(ctx context.Context, term terminal) error {
	return c.give(ctx, term, order.PowerOff, c.Targets, "")
}

type chooseCmd struct {
	Dir   string        `arg:"" help:"The site directory."`
	Words []string      `arg:"" name:"target" help:"Machines by name, host name, IP or MAC address, groups, or all; and then the system that they start, or local. Without it they show the chooser."`
	Wait  time.Duration `default:"90s" help:"How long to wait for the machines' reports; then the order is dropped. At most 10m."`
}

// Run has machines in phase 1 start a system, or go back to the chooser.
func (c chooseCmd) Run(ctx context.Context, term terminal) error {
	targets, system, err := c.split(ctx)
	if err != nil {
		return running(c.Dir, err)
	}
	return orderFlags{Dir: c.Dir, Wait: c.Wait}.give(ctx, term, order.Choose, targets, system)
}

// split finds out whether the last word is a system. A word that is a target as well must not be guessed at.
func (c chooseCmd) split(ctx context.Context) (targets []string, system string, err error) {
	if len(c.Words) < 2 {
		return c.Words, "", nil
	}
	control := daemon.Control{Dir: c.Dir}
	var offered status.Site
	var nodes api.Nodes
	err = control.Get(ctx, "systems", &offered)
	if err == nil {
		err = control.Get(ctx, "nodes", &nodes)
	}
	if err != nil {
		return nil, "", err
	}
	last := c.Words[len(c.Words)-1]
	isSystem := last == catalog.StartLocal || slices.ContainsFunc(offered.Systems, func(s status.System) bool { return s.Name == last })
	isTarget := last == catalog.GroupAll || slices.Contains(nodes.Groups, last)
	for _, m := range nodes.Machines {
		isTarget = isTarget || slices.ContainsFunc([]string{m.Name, m.Hostname, m.MAC, m.Address}, func(s string) bool { return s != "" && strings.EqualFold(s, last) })
	}
	switch {
	case isSystem && isTarget:
		return nil, "", fmt.Errorf("%q is a system, and a machine or group; name the machine by its MAC address, or give one of them another name", last)
	case isSystem:
		return c.Words[:len(c.Words)-1], last, nil
	}
	if _, err := net.ParseMAC(last); err != nil && !isTarget {
		names := []string{catalog.StartLocal}
		for _, s := range offered.Systems {
			if !strings.HasPrefix(s.Name, ".") { // QEMU and the like, which nodes fetch with a system
				names = append(names, s.Name)
			}
		}
		return nil, "", fmt.Errorf("%q is no system, no group and no machine; systems: %s; groups: %s; the machines: %s nodes %s",
			last, strings.Join(names, ", "), strings.Join(nodes.Groups, ", "), self.Seeder(), cli.Quote(c.Dir))
	}
	return c.Words, "", nil
}

// give gives an order, and prints what becomes of each machine, as soon as that is known.
func (c orderFlags) give(ctx context.Context, term terminal, action order.Action, targets []string, system string) error {
	control := daemon.Control{Dir: c.Dir}
	if c.Wait < time.Second || c.Wait > orders.MaxWait {
		return cli.UsageError{Err: fmt.Errorf("--wait is %s; want 1s to %s", c.Wait, orders.MaxWait)}
	}
	var b orders.Batch
	request := api.Request{Targets: targets, Action: string(action), System: system, Wait: int(c.Wait.Seconds())}
	if err := control.Post(ctx, "orders", request, &b); err != nil {
		return running(c.Dir, err)
	}
	told := map[string]bool{}
	left := tell(term, b, told)
	if left > 0 {
		fmt.Fprintf(term.Err, "waiting for the reports of %s, up to %s\n", text.Count(left, "machine"), c.Wait)
	}
	for ; left > 0; left = tell(term, b, told) {
		if err := control.Get(ctx, fmt.Sprintf("orders/%d?waiting=%d", b.ID, left-1), &b); err != nil {
			return running(c.Dir, err)
		}
	}
	if slices.ContainsFunc(b.Nodes, func(r orders.Result) bool { return r.State != orders.Taken }) {
		return cli.ErrReported
	}
	return nil
}

// tell prints the results that were not told yet, and returns how many machines are waited for.
func tell(term terminal, b orders.Batch, told map[string]bool) (left int) {
	for _, r := range b.Nodes {
		switch {
		case r.State == orders.Waiting:
			left++
		case told[r.MAC]:
		default:
			told[r.MAC] = true
			out := term.Out
			if r.State != orders.Taken {
				out = term.Err
			}
			fmt.Fprintf(out, "%s: %s: %s\n", called(r.Name, r.MAC), r.State, r.Text)
		}
	}
	return left
}

// called is how a machine is named to a person: by its name, if it has one, and MAC address.
func called(name, mac string) string {
	if name == "" || name == mac {
		return mac
	}
	return name + " (" + mac + ")"
}
