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

// supervise runs a program until it exits with one of boot's exit codes, which it returns; when ctx ends it returns
// ExitReboot.
func supervise(ctx context.Context, run func() (code int, err error), say func(format string, args ...any)) int {
	pause := restartFirst
	for {
		began := time.Now()
		code, err := run()
		switch {
		case err != nil:
			say("%v", err)
		case code == boot.ExitReboot || code == boot.ExitPowerOff:
			return code
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
