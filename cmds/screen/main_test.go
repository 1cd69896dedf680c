package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/screen"
	"github.com/boottorrent/boottorrent/initramfs/screen/rfb/rfbtest"
)

// What is wrong is said in words, with what the guest is called, and by the exit code that package launch knows.
func TestFailures(t *testing.T) {
	socket, accept := rfbtest.Listen(t)
	go func() {
		if s := accept(); s != nil {
			s.Send(append([]byte("RFB 003.008\n\x01\x01\x00\x00\x00\x00"), rfbtest.Init(640, 480, "a guest")...)) // whatever the client says
		}
	}()
	gone := filepath.Join(t.TempDir(), "gone")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, tt := range []struct {
		ctx  context.Context
		args []string
		code int
		said string
	}{
		{t.Context(), nil, exitUsage, "usage: screen --socket PATH"},
		{t.Context(), []string{"--socket", gone, "more"}, exitUsage, "usage: screen --socket PATH"},
		{t.Context(), []string{"--sockets"}, exitUsage, "flag provided but not defined"},
		{stopped, []string{"--socket", gone, "--title", "A guest"}, screen.ExitFailed, "screen (A guest): connect with the guest's screen at " + gone},
		{t.Context(), []string{"--socket", socket, "--fb", gone}, screen.ExitFailed, "screen: open the frame buffer (has the kernel a driver for this machine's graphics?)"},
	} {
		var said bytes.Buffer
		if code := run(tt.ctx, tt.args, &said); code != tt.code || !strings.HasPrefix(said.String(), tt.said) {
			t.Errorf("screen %q: exit code %d, %q; want %d, %q", tt.args, code, &said, tt.code, tt.said)
		}
	}
}
