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
	ends := []end{{0, errors.New("killed: out of memory")}, {boot.ExitPowerOff, nil}}
	runs, said := 0, 0
	code := supervise(t.Context(), func() (int, error) {
		e := ends[runs]
		runs++
		return e.code, e.err
	}, func(string, ...any) { said++ })
	if code != boot.ExitPowerOff || runs != 2 {
		t.Errorf("ended with %d after %d runs, want %d after 2", code, runs, boot.ExitPowerOff)
	}
	if said == 0 {
		t.Error("a killed child was not spoken of")
	}
}

func TestSuperviseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	code := supervise(ctx, func() (int, error) { cancel(); return 1, nil }, t.Logf)
	if code != boot.ExitReboot {
		t.Errorf("ended with %d, want %d", code, boot.ExitReboot)
	}
}
