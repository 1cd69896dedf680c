package command

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/origin"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// bucketURL is a prefix of a bucket on loopback.
func bucketURL(t *testing.T) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "me")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	backend := s3mem.New()
	if err := backend.CreateBucket("archive"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return "s3://archive/lab/tiny?endpoint=" + server.URL + "&region=us-east-1"
}

// runs runs a command that must end well, and returns what it printed.
func runs(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := Program().Run(t.Context(), args, terminal{Out: &out, Err: t.Output()}); code != cli.ExitOK {
		t.Fatalf("seeder %s: exit code %d", strings.Join(args, " "), code)
	}
	return out.String()
}

// infohash is what the system is stored as; what is missing of it is fetched before, as a seeder does.
func infohash(t *testing.T, dir string) string {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, site.StateDir, "store"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 5 {
		s, problems := site.Load(dir)
		if s == nil || len(s.AllProblems()) > 0 {
			t.Fatal(problems, s.AllProblems())
		}
		if len(s.Absent) == 0 {
			v, err := st.Import(t.Context(), s.Systems[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			return v.System.InfoHash.String()
		}
		for _, o := range s.Absent[0].Missing {
			if err := origin.New(nil).Fetch(t.Context(), filepath.Join(dir, site.FetchedDir), o, func(int64, int64) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("something is missing for ever")
	return ""
}

// What was pushed comes back as the same version, into a site whose config.yaml has the printed line alone. So does what was pushed from
// there, with keys of its own.
func TestPush(t *testing.T) {
	dir, _ := makeSite(t)
	target := bucketURL(t)
	line := runs(t, "push", dir, "tiny", target)
	if !strings.HasPrefix(line, "from: s3://archive/lab/tiny@sha256:") || strings.Count(line, "\n") != 1 {
		t.Fatalf("printed: %s", line)
	}
	want := infohash(t, dir)
	for _, more := range []string{"", "dispname: Ours\nhidden: true\n"} {
		back, _ := makeSite(t)
		folder := filepath.Join(back, site.SystemsDir, "tiny")
		if err := os.Remove(filepath.Join(folder, "vmlinuz")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, site.SystemFile), []byte(line+more), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := runs(t, "check", "--site-only", back); !strings.Contains(out, "oss/tiny: not here yet: the system's manifest, from s3://archive/lab/tiny@sha256:") ||
			!strings.Contains(out, "is in order: 0 systems, and 1 system whose files are still to be fetched") {
			t.Errorf("before: %s", out)
		}
		if said := fails(t, "push", back, "tiny", target); !strings.Contains(said, "still to be fetched") {
			t.Errorf("pushed too early: %s", said)
		}
		if got := infohash(t, back); got != want {
			t.Errorf("it came back as %s, and was %s", got, want)
		}
		if out := runs(t, "check", "--site-only", "--origins", back); !strings.Contains(out, "is in order: 1 system\n") || !strings.Contains(out, "vmlinuz is there: s3://archive/lab/tiny/blobs/sha256/") {
			t.Errorf("after: %s", out)
		}
		again := runs(t, "push", back, "tiny", target)
		if same := again == line; same != (more == "") {
			t.Errorf("pushed again: %s", again)
		}
		line = again
	}
	if said := fails(t, "push", dir, "nothing", target); !strings.Contains(said, "no system nothing") {
		t.Error(said)
	}
	for _, wrong := range []string{"https://h/x", "oci://r/x@sha256:" + strings.Repeat("1", 64), "debian"} {
		if code := Program().Run(t.Context(), []string{"push", dir, "tiny", wrong}, terminal{Out: t.Output(), Err: t.Output()}); code != cli.ExitUsage {
			t.Errorf("%s: exit code %d", wrong, code)
		}
	}
}

// While a seeder runs, what it has published is pushed.
func TestPushWhileServed(t *testing.T) {
	dir, _ := makeSite(t)
	s, problems := site.Load(dir)
	if s == nil {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan daemon.Summary, 1), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Options{Site: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Ready: func(sum daemon.Summary) { ready <- sum }})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	if line := runs(t, "push", dir, "tiny", bucketURL(t)); !strings.HasPrefix(line, "from: s3://") {
		t.Errorf("printed: %s", line)
	}
}
