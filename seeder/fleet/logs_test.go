package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

const macA, macB = "52:54:00:00:00:01", "52:54:00:00:00:02"

func newLogs(t *testing.T, dir string) *Fleet {
	t.Helper()
	return New(Config{
		Dir: dir, Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
		Names: func(mac string) string { return map[string]string{macA: "Desk-1"}[mac] },
	})
}

// post sends lines as a node does, and returns the status.
func postLines(t *testing.T, s *Fleet, mac, boot string, first int64, lines ...string) int {
	t.Helper()
	body, err := json.Marshal(report.Log{MAC: mac, Boot: boot, First: first, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	return send(s, string(body))
}

func send(s *Fleet, body string) int {
	r := httptest.NewRequest("POST", "/api/log", strings.NewReader(body))
	r.RemoteAddr = "10.0.0.17:1234"
	w := httptest.NewRecorder()
	s.LogHandler().ServeHTTP(w, r)
	return w.Code
}

func file(t *testing.T, s *Fleet, mac string) string {
	t.Helper()
	body, err := os.ReadFile(path(s.logs.dir, mac, logEnding))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestKeep(t *testing.T) {
	s := newLogs(t, t.TempDir())
	for _, p := range []struct {
		boot  string
		first int64
		lines []string
		want  string
	}{
		{"one", 0, []string{"a", "b"}, "a\nb\n"},
		{"one", 1, []string{"b", "c"}, "a\nb\nc\n"}, // one came twice
		{"one", 0, []string{"a", "b"}, "a\nb\nc\n"}, // both did
		{"one", 5, []string{"f"}, "a\nb\nc\n... 2 lines are missing here ...\nf\n"},
		{"one", 6, []string{"\x1b[31mred\x07\u009b\u202e\tx\xff"}, "a\nb\nc\n... 2 lines are missing here ...\nf\n[31mred x�\n"},
		{"two", 7, []string{"again"}, "... 7 lines are missing here ...\nagain\n"}, // a new boot, whose beginning was lost
	} {
		if code := postLines(t, s, macA, p.boot, p.first, p.lines...); code != 204 {
			t.Fatalf("%+v: %d", p, code)
		}
		if got := file(t, s, macA); got != p.want {
			t.Errorf("%+v: the log is %q", p, got)
		}
	}
	// Another seeder, after a restart, goes on.
	s = newLogs(t, s.logs.dir)
	postLines(t, s, macA, "two", 7, "again", "more")
	if got := file(t, s, macA); got != "... 7 lines are missing here ...\nagain\nmore\n" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestLogRefused(t *testing.T) {
	s := newLogs(t, t.TempDir())
	for name, tt := range map[string]struct {
		body string
		code int
	}{
		"no JSON":        {"hello", 400},
		"no MAC":         {`{"boot":"x","lines":["a"]}`, 400},
		"a path as MAC":  {`{"mac":"../../etc/x","boot":"x","lines":["a"]}`, 400},
		"no boot":        {`{"mac":"52:54:00:00:00:01","lines":["a"]}`, 400},
		"a long boot":    {`{"mac":"52:54:00:00:00:01","boot":"` + strings.Repeat("x", 65) + `"}`, 400},
		"before it":      {`{"mac":"52:54:00:00:00:01","boot":"x","first":-1}`, 400},
		"too many lines": {`{"mac":"52:54:00:00:00:01","boot":"x","lines":[` + strings.Repeat(`"",`, report.MaxBatchLines) + `""]}`, 400},
		"too large":      {`{"mac":"` + strings.Repeat("x", report.MaxLogBody) + `"}`, 413},
	} {
		if got := send(s, tt.body); got != tt.code {
			t.Errorf("%s: %d, want %d", name, got, tt.code)
		}
	}
	if nodes, err := Nodes(s.logs.dir); err != nil || len(nodes) > 0 {
		t.Errorf("kept: %v, %v", nodes, err)
	}
	w := httptest.NewRecorder()
	s.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/api/log", nil))
	if w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
}

// A node that never stops talking.
func TestLongLog(t *testing.T) {
	s := newLogs(t, t.TempDir())
	line := strings.Repeat("x", 990)
	first := int64(0)
	var follow bytes.Buffer
	w := &Follower{Dir: s.logs.dir, MAC: macA, Out: &follow}
	for range 12 {
		lines := make([]string, 500)
		for i := range lines {
			lines[i] = fmt.Sprintf("%d %s", first+int64(i), line)
		}
		if code := postLines(t, s, macA, "one", first, lines...); code != 204 {
			t.Fatal(code)
		}
		first += int64(len(lines))
		if err := w.Print(); err != nil {
			t.Fatal(err)
		}
	}
	got := file(t, s, macA)
	if len(got) > maxFile || !strings.HasPrefix(got, "... older lines were dropped") || !strings.Contains(got, fmt.Sprint("\n", first-1, " xx")) {
		t.Errorf("%d bytes, beginning with %.80q", len(got), got)
	}
	// Who follows has all lines, each once, in spite of the dropping.
	lines := strings.Split(strings.TrimSuffix(follow.String(), "\n"), "\n")[1:]
	for i, l := range lines {
		if !strings.HasPrefix(l, fmt.Sprint(i, " x")) {
			t.Fatalf("the follower's line %d is %.80q", i, l)
		}
	}
	if len(lines) != int(first) {
		t.Errorf("the follower has %d lines, want %d", len(lines), first)
	}
}

// A site's folder may have any name; a name once known stays.
func TestNames(t *testing.T) {
	s := newLogs(t, filepath.Join(t.TempDir(), "room [12]*"))
	if nodes, err := Nodes(s.logs.dir); err != nil || len(nodes) > 0 {
		t.Errorf("before there is anything: %v, %v", nodes, err)
	}
	postLines(t, s, macA, "one", 0, "a")
	s.cfg.Names = func(string) string { return "" }
	postLines(t, s, macA, "one", 1, "b")
	if nodes, err := Nodes(s.logs.dir); err != nil || len(nodes) != 1 || nodes[0].Label() != "Desk-1" || nodes[0].IP != "10.0.0.17" {
		t.Errorf("%+v, %v", nodes, err)
	}
}

func TestFollow(t *testing.T) {
	s := newLogs(t, t.TempDir())
	postLines(t, s, macA, "one", 0, "first")
	postLines(t, s, macB, "b", 0, "other")
	var one, all bytes.Buffer
	followOne, followAll := &Follower{Dir: s.logs.dir, MAC: macA, Out: &one}, &Follower{Dir: s.logs.dir, Out: &all}
	step := func() {
		t.Helper()
		for _, w := range []*Follower{followOne, followAll} {
			if err := w.Print(); err != nil {
				t.Fatal(err)
			}
		}
	}
	step()
	postLines(t, s, macA, "one", 1, "second")
	step()
	step()
	postLines(t, s, macA, "two", 0, "a new boot")
	step()
	began := time.Unix(1_800_000_000, 0).Format(time.DateTime)
	head := "==== Desk-1 (" + macA + "): boot of " + began + " ====\n"
	if want := head + "first\nsecond\n" + head + "a new boot\n"; one.String() != want {
		t.Errorf("one:\n%swant:\n%s", &one, want)
	}
	for _, want := range []string{"10.0.0.17: other\n", "Desk-1: second\n"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("all, without %q:\n%s", want, &all)
		}
	}
}

func TestFind(t *testing.T) {
	nodes := []Facts{{MAC: macA, IP: "10.0.0.17", Name: "Desk-1"}, {MAC: macB, IP: "10.0.0.18", Name: "desk-2"}, {MAC: "52:54:00:00:01:03", IP: "10.0.0.1"}}
	for name, want := range map[string]string{
		macA: macA, "52-54-00-00-00-02": macB, "10.0.0.18": macB, "DESK-1": macA, "10.0.0.1": "52:54:00:00:01:03", "52:54:00:00:01": "52:54:00:00:01:03",
		"desk": "may be one of Desk-1 (" + macA + ", 10.0.0.17), desk-2", "nobody": "there is no log of \"nobody\"; there are those of", "": "there is no log",
	} {
		f, err := Find(nodes, name)
		if err == nil && f.MAC != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if _, err := Find(nil, "x"); err == nil || !strings.Contains(err.Error(), "no node has sent its log yet") {
		t.Errorf("of none: %v", err)
	}
}

func FuzzLog(f *testing.F) {
	f.Add(`{"mac":"52:54:00:00:00:01","boot":"x","first":3,"lines":["a","\u001b[0m"]}`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body string) {
		s := New(Config{Dir: dir})
		if code := send(s, body); code >= 500 {
			t.Errorf("%d for %q", code, body)
		}
	})
}

// After a kexec the boot goes on under another kernel, whose clock begins anew: its lines have their own time of day, before and after a
// restart of the seeder, and also when the older half of the log is gone.
func TestAnotherKernel(t *testing.T) {
	t.Setenv("TZ", "")
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)
	now := noon
	dir := t.TempDir()
	open := func() *Fleet { return New(Config{Dir: dir, Now: func() time.Time { return now }}) }
	s := open()
	shown := func() string {
		t.Helper()
		var out bytes.Buffer
		if err := (&Follower{Dir: dir, MAC: macA, Out: &out}).Print(); err != nil {
			t.Fatal(err)
		}
		_, lines, _ := strings.Cut(out.String(), "\n")
		return lines
	}
	send := func(at time.Duration, first int64, lines ...string) {
		t.Helper()
		now = noon.Add(at)
		if code := postLines(t, s, macA, "b00t", first, lines...); code != 204 {
			t.Fatalf("%q: %d", lines, code)
		}
	}
	send(100*time.Second, 0, "[    0.000000] Linux", "[  100.000000] kexec")
	s = open()
	send(130*time.Second, 2, "[    0.000000] another Linux", "[   20.000000] network")
	send(140*time.Second, 3, "[   20.000000] network", "[   29.900000] fetch", "[   29.500000] of another processor")
	want := `12:00:00 [    0.000000] Linux
12:01:40 [  100.000000] kexec
==== 2026-03-04 12:01:50: the boot goes on under another kernel ====
12:01:50 [    0.000000] another Linux
12:02:10 [   20.000000] network
12:02:19 [   29.900000] fetch
12:02:19 [   29.500000] of another processor
`
	if got := shown(); got != want {
		t.Errorf("shown is\n%swant\n%s", got, want)
	}
	long := make([]string, 900)
	for i := range long {
		long[i] = fmt.Sprintf("[   30.%06d] %s", i, strings.Repeat("x", report.MaxLine/2))
	}
	next := int64(5)
	for range maxFile / (len(long) * report.MaxLine / 2) * 2 {
		send(141*time.Second, next, long...)
		next += int64(len(long))
	}
	if got := shown(); !strings.Contains(got, "\n12:02:20 [   30.000899] x") || strings.Contains(got, "under another kernel") {
		t.Errorf("of a log whose older half is gone, shown is\n%.200s", got)
	}
}
