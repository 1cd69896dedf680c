package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What the viewer's exit codes mean, and on which terminal it is.
func TestViewer(t *testing.T) {
	for name, tt := range map[string]struct {
		script     string
		ended      bool // the guest has
		left       bool
		fails, log string
	}{
		"a person leaves":            {script: "exit 20", left: true, log: "--tty /dev/ttyT0"},
		"the guest ends":             {script: "exit 0", ended: true},
		"it fails":                   {script: "echo no frame buffer >&2; exit 1", fails: "exit code 1: --socket", log: "no frame buffer"},
		"it is killed, and restored": {script: "kill -9 $$", fails: "exit code 137", log: "open the console: open /dev/ttyT0"},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "screen")
			if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var log strings.Builder
			v := &viewer{program: program, socket: "/s", title: "A guest", log: func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintf(&log, format+"\n", args...)
			}}
			ended := make(chan struct{})
			if tt.ended {
				close(ended)
			}
			err := v.show(t.Context(), newFakeTerminal(t), ended)
			if tt.left != errors.Is(err, ErrLeft) || !tt.left && tt.fails == "" && err != nil {
				t.Errorf("error %v", err)
			}
			if tt.fails != "" {
				checkWords(t, "show", err, tt.fails)
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("no %q in the log:\n%s", tt.log, log.String())
			}
		})
	}
}

// Who takes the console back ends the viewer.
func TestViewerStops(t *testing.T) {
	program := filepath.Join(t.TempDir(), "screen")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho shown\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := &viewer{program: program, log: func(format string, args ...any) {
		if strings.Contains(fmt.Sprintf(format, args...), "shown") {
			cancel()
		}
	}}
	if err := v.show(ctx, newFakeTerminal(t), nil); err != nil || ctx.Err() == nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}
