package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/seeder/selftest"
)

// What the self-test finds is logged once, loudly, and so is that it was mended; programs get it as JSON.
func TestTesterLogs(t *testing.T) {
	var log bytes.Buffer
	found := []selftest.Finding{
		{Severity: selftest.Problem, About: "image", What: "there is no image", Do: "mkimage"},
		{Severity: selftest.Warning, About: "dhcp", What: "no DHCP server", Do: "connect one"},
	}
	tests := &tester{log: slog.New(slog.NewTextHandler(&log, nil)), run: func(context.Context, time.Duration) []selftest.Finding { return found }}
	tests.test(t.Context(), 0)
	tests.test(t.Context(), 0)
	for _, line := range []string{`level=ERROR msg="there is no image" do=mkimage`, `level=WARN msg="no DHCP server" do="connect one"`} {
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("the log has not one line %s:\n%s", line, &log)
		}
	}
	w := httptest.NewRecorder()
	tests.handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/selftest", nil))
	if want := `[{"severity":"problem","about":"image","what":"there is no image","do":"mkimage"},`; !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("programs get %s, want %s…", w.Body, want)
	}
	found = found[1:]
	tests.test(t.Context(), 0)
	if !strings.Contains(log.String(), `level=INFO msg="mended: there is no image"`) {
		t.Errorf("that it was mended is not in the log:\n%s", &log)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found = nil
	if tests.test(ctx, 0); len(tests.list()) != 1 {
		t.Error("a test that was broken off counts")
	}
}
