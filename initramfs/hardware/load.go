package hardware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// always are loaded, where the kernel has them, whether or not a device asks for them, so that a keyboard plugged in to type at the
// chooser is heard at once.
var always = []string{"usbhid", "hid_generic"}

// Load loads the modules of the devices present, with their dependencies, and returns when no device asks for anything
// more. Devices that appear later (a USB adapter, a slow bus) are served in the background until ctx ends. A module that
// doesn't load is logged with the reason and is no error; neither is an image without modules, or with some that can't be read:
// its kernel then has to have everything built in, which only shows when something is missing. The error is of ctx.
func Load(ctx context.Context, log Log) error {
	l, err := runningLoader(log)
	if err != nil {
		log("hardware: %v; only drivers built into the kernel work", err)
		return ctx.Err()
	}
	// Listening begins before looking, so that no device falls between.
	events, err := listen(ctx)
	if err != nil {
		log("hardware: %v; devices are looked for every second instead", err)
		events = poll(ctx)
	}
	l.settle(running.those(always)...)
	go l.watch(ctx, events)
	return ctx.Err()
}

// runningLoader loads the modules of the running kernel.
func runningLoader(log Log) (*loader, error) {
	rel, err := release()
	if err != nil {
		return nil, err
	}
	probe, err := newProber(running, rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this image has no modules for kernel %s", rel)
	}
	if err != nil {
		return nil, err
	}
	return newLoader(running, rel, log, probe)
}

// watch serves late devices. An event is a modalias, or empty for "look everywhere".
func (l *loader) watch(ctx context.Context, events <-chan string) {
	for {
		select {
		case <-ctx.Done():
			return
		case modalias, ok := <-events:
			switch {
			case !ok:
				return
			case modalias == "":
				l.settle()
			default:
				names, _ := l.wanted([]string{modalias})
				l.loadAll(names)
			}
		}
	}
}

// Probe loads a module by its name, with its dependencies. A module that is built in or loaded already is no error.
func Probe(name string) error {
	rel, err := release()
	if err != nil {
		return err
	}
	probe, err := newProber(running, rel)
	if err != nil {
		return err
	}
	return probe(name)
}
