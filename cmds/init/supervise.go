package main

import (
	"context"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
)

// A child that dies is started again after restartFirst, then after twice as long each time, up to restartMost. One that
// lived longer than restartMost begins anew at restartFirst.
const (
	restartFirst = time.Second
	restartMost  = time.Minute
)

// supervise runs a program until it exits with ExitReboot or ExitPowerOff, which it returns; when ctx ends it returns ExitReboot. At
// ExitSwitch it calls takeOver, which returns only when that was of no use.
func supervise(ctx context.Context, run func() (code int, err error), takeOver func() error, say func(format string, args ...any)) int {
	pause := restartFirst
	for {
		began := time.Now()
		code, err := run()
		switch {
		case err != nil:
			say("%v", err)
		case code == boot.ExitReboot || code == boot.ExitPowerOff:
			return code
		case code == boot.ExitSwitch:
			say("%v", takeOver())
		default:
			say("%s ended with exit code %d", program, code)
		}
		if time.Since(began) > restartMost {
			pause = restartFirst
		}
		say("starting it again in %s", pause)
		select {
		case <-ctx.Done():
			return boot.ExitReboot
		case <-time.After(pause):
		}
		pause = min(2*pause, restartMost)
	}
}
