package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// tool is a command line with one command.
type tool struct {
	Go goCmd `cmd:"" help:"Go."`
}

type goCmd struct {
	Dir string `arg:""`
}

// Run fails as its argument says.
func (c goCmd) Run(ctx context.Context, term Terminal) error {
	switch c.Dir {
	case "wait":
		return fmt.Errorf("compile: %w", ctx.Err())
	case "fail":
		return errors.New("it fails")
	}
	_, err := fmt.Fprintln(term.Out, c.Dir)
	return err
}

func TestRun(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, c := range []struct {
		ctx      context.Context
		args     []string
		code     int
		out, err string
	}{
		{t.Context(), []string{"go", "a b"}, ExitOK, "a b", ""},
		{t.Context(), []string{"go", "fail"}, ExitFailed, "", "tool: it fails"},
		{interrupted, []string{"go", "wait"}, ExitFailed, "", "tool: interrupted\n"},
		{t.Context(), []string{"help"}, ExitOK, "Usage: tool", ""},
		{t.Context(), []string{"help", "go"}, ExitOK, "Usage: tool go", ""},
		{t.Context(), []string{"help", "stop"}, ExitUsage, "", "unexpected argument stop"},
		// The parser makes U+FFFD of it, which is another folder.
		{t.Context(), []string{"go", "r\xffm"}, ExitUsage, "", `"r\xffm" is not UTF-8; go into that folder`},
	} {
		var out, err bytes.Buffer
		p := Program{Name: "tool", Grammar: &tool{}}
		if code := p.Run(c.ctx, c.args, Terminal{Out: &out, Err: &err}); code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(err.String(), c.err) {
			t.Errorf("%q: exit code %d, prints %q and complains %q", c.args, code, &out, &err)
		}
	}
}
