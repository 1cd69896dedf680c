package command

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/fleet"
)

// Logs shows lines as they come, and a new boot, until it is interrupted.
func TestLogsFollows(t *testing.T) {
	dir := t.TempDir()
	logs := fleet.New(fleet.Config{Dir: filepath.Join(dir, site.StateDir, daemon.LogDir)})
	post := func(body string) {
		t.Helper()
		w := httptest.NewRecorder()
		if logs.LogHandler().ServeHTTP(w, httptest.NewRequest("POST", "/api/log", strings.NewReader(body))); w.Code != 204 {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Program().Run(ctx, []string{"logs", dir}, terminal{Out: in, Err: t.Output()})
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	for _, step := range []struct{ boot, first, line string }{{"one", "0", "first"}, {"one", "1", "second"}, {"two", "0", "another boot"}} {
		post(`{"mac":"52:54:00:00:00:01","boot":"` + step.boot + `","first":` + step.first + `,"lines":["` + step.line + `"]}`)
		if step.first == "0" && (!lines.Scan() || !strings.Contains(lines.Text(), ": boot of ")) {
			t.Errorf("before %q it says %q", step.line, lines.Text())
		}
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), ": "+step.line) {
			t.Errorf("it says %q, want %q", lines.Text(), step.line)
		}
	}
	interrupt()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}
