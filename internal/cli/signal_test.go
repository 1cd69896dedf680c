package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// waiter is a command line whose command waits until it is interrupted.
type waiter struct {
	Wait waitCmd `cmd:"" help:"Wait."`
}

type waitCmd struct{}

// Run says that it waits, and waits.
func (waitCmd) Run(ctx context.Context, term Terminal) error {
	fmt.Fprintln(term.Out, "waiting")
	<-ctx.Done()
	return fmt.Errorf("wait: %w", ctx.Err())
}

// TestMain is that program itself when a test starts it.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "wait" {
		Main(Program{Name: "waiter", Grammar: &waiter{}})
	}
	os.Exit(m.Run())
}

// Whatever asks a command to end, Ctrl-C, systemd or a terminal that is closed, lets it tidy up.
func TestSignals(t *testing.T) {
	// Under nohup(1) SIGHUP is ignored, and would be in the program. What has a handler here has none there, and isn't ignored.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := exec.Command(os.Args[0], "wait")
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "waiting\n" {
			t.Errorf("it says %q, %v", line, err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != ExitFailed || !strings.Contains(complaints.String(), "waiter: interrupted") {
			t.Errorf("%v: exit code %d, %q", sig, code, &complaints)
		}
	}
}
