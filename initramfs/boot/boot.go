// Package boot is the order of a node's steps: hardware, network, discover, catalog, choose, fetch, seed, launch; and
// what happens when one of them fails. It is plain Go over an interface, so that a test drives a whole boot without
// hardware. What the steps do is in package node.
package boot

import (
	"context"
	"errors"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Trouble is a step that failed.
type Trouble struct {
	Step report.Step
	Err  error
	// Attempt counts the failures in a row of this step, from 1.
	Attempt int
	// CanChoose says that there is a catalog, and so another system to choose.
	CanChoose bool
}

// ErrCancelled is returned by Fetch and Seed when a person wants the chooser back.
var ErrCancelled = errors.New("cancelled at the console")

// ErrStale is wrapped by an error of Fetch when the catalog has changed since it was read, as it may have while the
// chooser waited for a person: it is read again, and the same system fetched in its new version.
var ErrStale = errors.New("the catalog has changed meanwhile")

// ErrRefused is wrapped by an error of Fetch or Launch that stays the same however often it is tried: this machine does not start the system. The
// choice is forgotten, so that the chooser comes next.
var ErrRefused = errors.New("this machine does not start it")

// Steps is what a node can do. Every method keeps its own deadline; ctx ends only when the node is shut down.
type Steps interface {
	Hardware(ctx context.Context) error
	// Network brings up the network; once it is up, a further call returns at once if it still is.
	Network(ctx context.Context) error
	Discover(ctx context.Context) error
	Catalog(ctx context.Context) (*catalog.Catalog, error)
	// Choose returns the person's choice, or the default's when its countdown ends. wait means that the countdown has
	// been stopped already.
	Choose(ctx context.Context, cat *catalog.Catalog, wait bool) (decision.Decision, error)
	Fetch(ctx context.Context, sys catalog.System) error
	// Seed gives the system to others for as long as the rule says.
	Seed(ctx context.Context, sys catalog.System, rule catalog.Seeding) error
	// Launch starts the system. One that takes the machine over never comes back but with an error; of one that ran beside
	// this program and has ended Launch returns what follows: Start, Choose, Reboot or PowerOff; of one that init is to become, once
	// this program ends, Switch.
	Launch(ctx context.Context, sys catalog.System) (decision.Decision, error)

	// Problem shows what went wrong and returns what to do: anything but Start.
	Problem(ctx context.Context, t Trouble) decision.Action
	Shell(ctx context.Context)
}

// Observer is told of every step; report.Reporter is one.
type Observer interface {
	Begin(step report.Step)
	End(err error)
}

// sequence is one boot on its way.
type sequence struct {
	steps    Steps
	observer Observer

	cat    *catalog.Catalog
	system string // the system chosen; empty before
	wait   bool   // a person has touched the chooser
	// failures are those in a row; a step's own success ends its row, not that of the steps before it.
	failures map[report.Step]int
}

// errNotListed says that the chosen system has gone from the catalog.
type errNotListed struct{ name string }

func (e errNotListed) Error() string {
	return "the catalog does not offer the system " + e.name + " to this machine (any longer); choose another"
}

// Run takes the steps in order until a system has started, in which case it never returns, or until somebody decides
// on Reboot or PowerOff, which it returns, or a system is ready for init to Switch to. When ctx ends it returns Reboot.
//
// An order (nil: none ever comes) ends the step of that moment: Reboot and PowerOff are returned, Start starts a system, Choose shows the
// chooser.
func Run(ctx context.Context, steps Steps, observer Observer, orders <-chan decision.Decision) decision.Action {
	s := &sequence{steps: steps, observer: observer, failures: map[report.Step]int{}}
	step := report.Hardware
	for ctx.Err() == nil {
		var next report.Step
		var action decision.Action
		ordered := obeying(ctx, orders, func(ctx context.Context) { next, action = s.take(ctx, step) })
		if ordered.Action != decision.None && ctx.Err() == nil {
			next, action = s.obey(ordered, step, action)
		}
		if action == decision.Reboot || action == decision.PowerOff || action == decision.Switch {
			return action
		}
		step = next
	}
	return decision.Reboot
}

// errOrdered ends a step for an order.
var errOrdered = errors.New("an order came")

// obeying does work under a context that ends when an order comes, which it returns when the work has ended. The context does not end
// with the work: what that began, such as reports, outlives it.
func obeying(ctx context.Context, orders <-chan decision.Decision, work func(context.Context)) (ordered decision.Decision) {
	working, end := context.WithCancelCause(ctx)
	context.AfterFunc(ctx, func() { end(nil) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(working)
	}()
	select {
	case ordered = <-orders:
		end(errOrdered)
	case <-done:
	}
	<-done
	return ordered
}

// obey returns what follows an order that came during a step. A system that is mounted already for init to become its first program is
// not left for another.
func (s *sequence) obey(d decision.Decision, step report.Step, action decision.Action) (report.Step, decision.Action) {
	switch {
	case d.Action == decision.Reboot, d.Action == decision.PowerOff:
		return step, d.Action
	case action == decision.Switch:
		return step, action
	}
	clear(s.failures)
	s.back()
	if d.Action == decision.Start {
		s.system = d.System
	}
	if step == report.Launch {
		return report.Network, decision.Start // what ran may have run for days
	}
	return report.Choose, decision.Start
}

// take takes a step, and what follows if it fails, and returns the step to go on with.
func (s *sequence) take(ctx context.Context, step report.Step) (report.Step, decision.Action) {
	next, action, err := s.do(ctx, step)
	if err == nil {
		delete(s.failures, step)
		return next, action
	}
	s.failures[step]++
	switch {
	case ctx.Err() != nil:
		return step, decision.Start
	case errors.Is(err, ErrCancelled):
		return s.back(), decision.Start
	case errors.Is(err, ErrStale) && s.failures[step] == 1:
		return report.Catalog, decision.Start
	}
	return s.trouble(ctx, Trouble{Step: step, Err: err, Attempt: s.failures[step]})
}

// do takes one step and returns the one that follows.
func (s *sequence) do(ctx context.Context, step report.Step) (next report.Step, action decision.Action, err error) {
	s.observer.Begin(step)
	switch step {
	case report.Hardware:
		next, err = report.Network, s.steps.Hardware(ctx)
	case report.Network:
		next, err = report.Discover, s.steps.Network(ctx)
	case report.Discover:
		next, err = report.Catalog, s.steps.Discover(ctx)
	case report.Catalog:
		next = report.Choose
		s.cat, err = s.steps.Catalog(ctx)
	case report.Choose:
		next, action, err = s.choose(ctx)
	default:
		next, action, err = s.withSystem(ctx, step)
	}
	if action != decision.Shell && context.Cause(ctx) != errOrdered {
		s.observer.End(err)
	}
	return next, action, err
}

// choose asks, unless the choice was made before a failure and is only being tried again.
func (s *sequence) choose(ctx context.Context) (report.Step, decision.Action, error) {
	if s.system != "" {
		return report.Fetch, decision.Start, nil
	}
	choice, err := s.steps.Choose(ctx, s.cat, s.wait)
	if err != nil {
		return report.Choose, decision.Start, err
	}
	switch choice.Action {
	case decision.Start:
		s.system = choice.System
		return report.Fetch, decision.Start, nil
	case decision.Shell:
		s.wait = true
		s.steps.Shell(ctx)
		return report.Choose, decision.Shell, nil
	}
	return report.Choose, choice.Action, nil
}

// withSystem takes the steps that are about the chosen system.
func (s *sequence) withSystem(ctx context.Context, step report.Step) (report.Step, decision.Action, error) {
	sys, ok := s.cat.System(s.system)
	if !ok {
		name := s.system
		s.system = "" // and where nobody is, the countdown of the next chooser goes on by itself
		return report.Choose, decision.Start, errNotListed{name}
	}
	switch step {
	case report.Fetch:
		return report.Seed, decision.Start, s.steps.Fetch(ctx, sys)
	case report.Seed:
		return report.Launch, decision.Start, s.steps.Seed(ctx, sys, s.cat.Defaults.Leaving())
	}
	return s.launch(ctx, sys)
}

// launch starts the system. What follows one that ended begins with a fresh catalog: it may have run for days.
func (s *sequence) launch(ctx context.Context, sys catalog.System) (report.Step, decision.Action, error) {
	choice, err := s.steps.Launch(ctx, sys)
	if err != nil {
		return report.Launch, decision.Start, err
	}
	switch choice.Action {
	case decision.Reboot, decision.PowerOff, decision.Switch:
		return report.Launch, choice.Action, nil
	case decision.Start:
		s.system = choice.System
	default:
		s.back()
	}
	return report.Network, decision.Start, nil
}

// back forgets the choice: the chooser comes next, and waits for a person.
func (s *sequence) back() report.Step {
	s.system, s.wait = "", true
	return report.Choose
}

// trouble shows a failure and returns where to go on.
func (s *sequence) trouble(ctx context.Context, t Trouble) (report.Step, decision.Action) {
	if errors.Is(t.Err, ErrRefused) {
		s.system = "" // and where nobody is, the next chooser may count down to another
	}
	t.CanChoose = s.cat != nil && report.Index(t.Step) > report.Index(report.Catalog)
	for ctx.Err() == nil {
		switch action := s.steps.Problem(ctx, t); action {
		case decision.Shell:
			s.steps.Shell(ctx)
		case decision.Choose:
			if t.CanChoose {
				return s.back(), decision.Start
			}
		case decision.Reboot, decision.PowerOff:
			return t.Step, action
		default:
			return retryFrom(t.Step), decision.Start
		}
	}
	return t.Step, decision.Start
}

// retryFrom is the step to begin with when one is tried again: what it was given may be what has changed since. A
// catalog that can't be had may be a seeder that moved, or a network that is gone.
func retryFrom(step report.Step) report.Step {
	switch step {
	case report.Discover, report.Catalog:
		return report.Network
	case report.Fetch, report.Seed, report.Launch:
		return report.Catalog
	}
	return step
}

// Exit codes with which the command boot tells init what Run returned. Any other is an accident, after which init starts
// boot again.
const (
	ExitReboot   = 10
	ExitPowerOff = 11
	// ExitSwitch says that a system of the method root is mounted, and that init is to become its first program.
	ExitSwitch = 12
)
