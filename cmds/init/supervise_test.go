package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/boottorrent/boottorrent/initramfs/boot"
)

// In these bubbles (testing/synctest) the pauses between two starts take no time.

func TestSuperviseRestartsUntilADecision(t *testing.T) {
	synctest.Test(t, testRestarts)
}

func testRestarts(t *testing.T) {
	type end struct {
		code int
		err  error
	}
	ends := []end{{0, errors.New("killed: out of memory")}, {boot.ExitSwitch, nil}, {boot.ExitPowerOff, nil}}
	runs, said := 0, 0
	taken := 0
	code := supervise(t.Context(), func() (int, error) {
		e := ends[runs]
		runs++
		return e.code, e.err
	}, func() error { taken++; return errors.New("nothing is prepared") }, func(string, ...any) { said++ })
	if code != boot.ExitPowerOff || runs != 3 || taken != 1 {
		t.Errorf("ended with %d after %d runs and %d attempts to take over, want %d after 3 and 1", code, runs, taken, boot.ExitPowerOff)
	}
	if said < 2 {
		t.Error("a killed child, or a system that could not be taken over, was not spoken of")
	}
}

func TestSuperviseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	code := supervise(ctx, func() (int, error) { cancel(); return 1, nil }, nil, t.Logf)
	if code != boot.ExitReboot {
		t.Errorf("ended with %d, want %d", code, boot.ExitReboot)
	}
}
