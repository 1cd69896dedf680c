package node

import (
	"context"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// A shell comes at Enter, not before, and another when that one has ended; what waits ends with its context.
func TestShellOnDemand(t *testing.T) {
	need.File(t, "/bin/sh", "dash")
	p := newPerson(t)
	one := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- shellOnDemand(ctx, p.path, func() bool { return false }) }()
		return ended
	}
	for round := 1; round <= 2; round++ {
		ended := one(t.Context())
		p.seeTimes("press Enter for a shell", round)
		if round == 1 {
			p.send("echo not$((1 + 1))yet\n") // is what Enter was pressed for
		} else {
			p.send("\n")
		}
		p.send("tty && echo TERM=$TERM && exit\n")
		p.seeTimes(p.path+"\r\n", round)
		p.seeTimes("TERM=linux\r\n", round)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(p.all(), "not2yet") {
		t.Errorf("the first line was a command:\n%s", p.all())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := one(ctx)
	p.seeTimes("press Enter for a shell", 3)
	cancel()
	if err := <-ended; err == nil {
		t.Error("waiting ended without a reason")
	}
}

// Where there is no screen there is no second console, and without keys nobody listens for SSH, until the boot is over.
func TestHelpThatIsOff(t *testing.T) {
	n, _ := newNode(t, "") // a serial line only
	n.SecondConsole(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.ServeSSH(ctx)
	if s := n.Report.Snapshot(); s.HostKey != "" {
		t.Errorf("a host key %q without anybody who could log in", s.HostKey)
	}
}

// Where the menu is locked, the second console has no shell.
func TestShellOnDemandIsLocked(t *testing.T) {
	p := newPerson(t)
	ended := make(chan error, 1)
	go func() { ended <- shellOnDemand(t.Context(), p.path, func() bool { return true }) }()
	p.see("press Enter for a shell")
	p.send("\n")
	p.see("menu is locked")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
