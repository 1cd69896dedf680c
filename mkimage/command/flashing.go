package command

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/mkimage/flash"
)

// flashCmd writes a disk image onto a stick.
type flashCmd struct {
	File   string `arg:"" help:"The image, as '${mkimage} usb' or '${mkimage} iso' wrote it."`
	Device string `arg:"" optional:"" help:"The device, such as /dev/sdb. Without it the removable ones are listed to choose from."`
	Force  bool   `help:"Write to the device even if it is not removable."`
}

// Run writes, reads back and compares.
func (c flashCmd) Run(ctx context.Context, t terminal) error {
	image, err := flash.OpenImage(c.File)
	if err != nil {
		return err
	}
	defer image.Close()
	bar := &flashBar{term: t}
	began := time.Now()
	device, err := flash.Run(ctx, flash.Options{
		Image: image, Device: c.Device, Force: c.Force, Progress: bar.progress,
		Dialogue: flash.Dialogue{In: bufio.NewReader(t.In), Out: t.Out},
	})
	bar.finish()
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "%s is written and compared, %.1f MB in %.0f s. It can be pulled out.\n",
		device.Path, float64(image.Size)/1e6, time.Since(began).Seconds())
	return nil
}

// flashBar shows how far writing is, and how long it will take, if there is a terminal to show it on.
type flashBar struct {
	term  terminal
	phase flash.Phase
	bar   *progressbar.ProgressBar
}

func (b *flashBar) progress(phase flash.Phase, done, total int64) {
	if f, ok := b.term.Err.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	if b.bar == nil || phase != b.phase {
		b.finish()
		b.phase = phase
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.term.Err), progressbar.OptionSetDescription(string(phase)),
			progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set64(done)
}

func (b *flashBar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
		b.bar = nil
	}
}
