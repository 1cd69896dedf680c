package flash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Dialogue asks a person. In is read line by line.
type Dialogue struct {
	In  *bufio.Reader
	Out io.Writer
}

// ErrDeclined says that the person wants nothing to be written.
var ErrDeclined = errors.New("nothing was written")

// choose lists the removable devices and lets the person choose one.
func (d Dialogue) choose(ctx context.Context, all []Device, image *Image) (Device, error) {
	var devices []Device
	for _, dev := range all {
		if dev.Removable && dev.Size > 0 {
			devices = append(devices, dev)
		}
	}
	if len(devices) == 0 {
		return Device{}, errors.New("no removable disk is plugged in; plug in a stick, or name the device")
	}
	t := tabwriter.NewWriter(d.Out, 2, 8, 2, ' ', 0)
	for i, dev := range devices {
		note := ""
		if err := dev.Refuse(image, false); err != nil {
			_, note, _ = strings.Cut(err.Error(), "not written: ")
			note = "can't be used: " + note
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\ton it: %s\t%s\n", i+1, dev.Path, dev.Model, size(dev.Size), dev.Serial, dev.content(), note)
	}
	if err := t.Flush(); err != nil {
		return Device{}, err
	}
	for {
		answer, err := d.ask(ctx, fmt.Sprintf("Which one is to be written, 1 to %d, or nothing for none? ", len(devices)))
		if err != nil {
			return Device{}, err
		}
		if answer == "" {
			return Device{}, ErrDeclined
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(devices) {
			return devices[n-1], nil
		}
		if dev, err := find(devices, answer); err == nil {
			return dev, nil
		}
	}
}

// confirm has the person type the device's name.
func (d Dialogue) confirm(ctx context.Context, dev Device) error {
	fmt.Fprintf(d.Out, "All that is on %s will be lost: %s; on it: %s.\n", dev.Path, dev.describe(), dev.content())
	answer, err := d.ask(ctx, fmt.Sprintf("To go on, type its name, %s: ", dev.Name))
	if err != nil {
		return err
	}
	if answer != dev.Name && answer != dev.Path {
		return fmt.Errorf("that is not %s: %w", dev.Name, ErrDeclined)
	}
	return nil
}

// ask returns the next line typed, without space around it. When ctx ends, the reading of a line is left to itself.
func (d Dialogue) ask(ctx context.Context, question string) (string, error) {
	type answer struct {
		line string
		err  error
	}
	fmt.Fprint(d.Out, question)
	typed := make(chan answer, 1)
	go func() {
		line, err := d.In.ReadString('\n')
		typed <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(d.Out)
		return "", fmt.Errorf("interrupted: %w", ErrDeclined)
	case a := <-typed:
		if a.err != nil && a.line == "" {
			fmt.Fprintln(d.Out)
			return "", fmt.Errorf("nobody answers (%w): %w", a.err, ErrDeclined)
		}
		return strings.TrimSpace(a.line), nil
	}
}
