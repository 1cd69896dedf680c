package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/report"
)

// registry is a Registry with a clock that stands still and a log to read.
type registry struct {
	*Fleet
	now   time.Time
	log   bytes.Buffer
	names map[string]string
}

func newRegistry() *registry {
	r := &registry{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	r.Fleet = New(Config{Log: log, Now: func() time.Time { return r.now }, Dir: filepath.Join(os.TempDir(), "no logs here"),
		Names: func(mac string) string { return r.names[mac] }})
	return r
}

func (r *registry) post(body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", "/api/report", strings.NewReader(body))
	req.RemoteAddr = "10.0.0.77:1234"
	w := httptest.NewRecorder()
	r.ReportHandler().ServeHTTP(w, req)
	return w
}

func (r *registry) report(t *testing.T, rep report.Report) {
	t.Helper()
	body, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	if w := r.post(string(body)); w.Code != http.StatusNoContent {
		t.Fatalf("report %s: %d %s", body, w.Code, w.Body)
	}
}

func (r *registry) list(t *testing.T) []report.Node {
	t.Helper()
	w := httptest.NewRecorder()
	r.ListHandler().ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	var list []report.Node
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || list == nil {
		t.Fatalf("list %s: %v", w.Body, err)
	}
	return list
}

func TestOneLogLineAStep(t *testing.T) {
	r := newRegistry()
	rep := report.Report{
		Boot: "1", MAC: "52:54:00:00:00:01", IP: "10.0.0.5", Step: report.Choose, State: report.Running,
		Durations: map[report.Step]float64{report.Hardware: 0.5, report.Network: 3.25},
	}
	r.report(t, rep)
	r.report(t, rep) // says nothing new
	rep.System, rep.Step, rep.State = "debian", report.Fetch, report.Running
	rep.Durations[report.Choose] = 10
	r.report(t, rep)
	rep.State, rep.Error = report.Failed, "no peers"
	r.report(t, rep)
	r.report(t, rep)
	rep.State, rep.Error = report.Done, ""
	rep.Durations[report.Fetch] = 2.0004
	rep.FromSeeder, rep.FromNodes, rep.FromHTTP = 100, 300, 0
	r.report(t, rep)
	rep.Step = report.Launch
	delete(rep.Durations, report.Launch)
	r.report(t, rep)
	rep.Boot, rep.Step, rep.State, rep.System, rep.Name = "2", report.Network, report.Done, "", "desk-1"
	rep.Durations = nil
	r.report(t, rep)
	want := `
level=INFO msg="node: step done" step=hardware ip=10.0.0.5 mac=52:54:00:00:00:01 seconds=0.5
level=INFO msg="node: step done" step=network ip=10.0.0.5 mac=52:54:00:00:00:01 seconds=3.25
level=INFO msg="node: step done" step=choose ip=10.0.0.5 mac=52:54:00:00:00:01 system=debian seconds=10
level=WARN msg="node: step failed" step=fetch ip=10.0.0.5 mac=52:54:00:00:00:01 system=debian err="no peers"
level=INFO msg="node: step done" step=fetch ip=10.0.0.5 mac=52:54:00:00:00:01 system=debian seconds=2 from_seeder=100 from_nodes=300 from_http=0 bytes_per_second=199
level=INFO msg="node: step done" step=launch ip=10.0.0.5 mac=52:54:00:00:00:01 system=debian
level=INFO msg="node: step done" step=network ip=10.0.0.5 mac=52:54:00:00:00:01 name=desk-1
`
	if got := "\n" + r.log.String(); got != want {
		t.Errorf("log:%s\nwant:%s", got, want)
	}
}

func TestListIsSortedAndDated(t *testing.T) {
	r := newRegistry()
	r.names = map[string]string{"52:54:00:00:00:01": "desk-1"}
	if got := r.list(t); len(got) != 0 {
		t.Fatalf("an empty registry lists %v", got)
	}
	start := r.now
	for i, ip := range []string{"10.0.0.10", "10.0.0.9", "garbage"} {
		r.report(t, report.Report{Boot: "1", MAC: fmt.Sprintf("52-54-00-00-00-0%d", i+1), IP: ip, Name: "own",
			Step: report.Network, State: report.Running})
	}
	r.now = start.Add(time.Second)
	r.report(t, report.Report{Boot: "1", MAC: "52:54:00:00:00:01", IP: "10.0.0.10", Step: report.Network, State: report.Done})
	r.report(t, report.Report{Boot: "1", MAC: "52:54:00:00:00:02", IP: "10.0.0.9", Step: report.Catalog, State: report.Running})
	var got []string
	for _, n := range r.list(t) {
		got = append(got, fmt.Sprintf("%s %s %s %s %s since %s, seen %s", n.MAC, n.IP, n.Name, n.Step, n.State,
			n.Since.Sub(start), n.Seen.Sub(start)))
	}
	want := []string{
		"52:54:00:00:00:02 10.0.0.9  catalog running since 1s, seen 1s",
		"52:54:00:00:00:01 10.0.0.10 desk-1 network done since 0s, seen 1s",
		"52:54:00:00:00:03 10.0.0.77 own network running since 0s, seen 0s", // the address the report came from
	}
	if !slices.Equal(got, want) {
		t.Errorf("nodes %q, want %q", got, want)
	}
	if a, b, c := r.Name("52:54:00:00:00:01"), r.Name("52:54:00:00:00:03"), r.Name("52:54:00:00:00:04"); a != "desk-1" || b != "own" || c != "" {
		t.Errorf("names %q, %q, %q", a, b, c)
	}
}

// How a system ended is logged once, also when it ends the same way again, and so is the host key of a boot.
func TestEndsAndHostKeys(t *testing.T) {
	r := newRegistry()
	rep := report.Report{Boot: "1", MAC: "52:54:00:00:00:01", IP: "10.0.0.5", Step: report.Launch, State: report.Running, System: "probe",
		HostKey: "SHA256:abc\x1b[2J"}
	r.report(t, rep)
	lines := []string{"first \x1b[31m", strings.Repeat("x", 2*report.ExitWidth)}
	for range report.ExitLines - 2 {
		lines = append(lines, "last\r\n")
	}
	rep.Exit = &report.Exit{System: "probe", At: 40, Code: 3, Reason: "because\nof", Lines: lines}
	r.report(t, rep)
	r.report(t, rep)
	if e := r.list(t)[0].Exit; e == nil || len(e.Lines) != report.ExitLines || e.Lines[0] != "first [31m" || e.Code != 3 {
		t.Errorf("the list has %+v", e)
	}
	rep.Exit = &report.Exit{System: "probe", At: 50, Code: 3, Lines: []string{strings.Repeat("x", 2*report.ExitWidth)}}
	r.report(t, rep)
	if e := r.list(t)[0].Exit; len(e.Lines[0]) != report.ExitWidth {
		t.Errorf("a line of %d bytes", len(e.Lines[0]))
	}
	rep.Exit = &report.Exit{System: "probe", At: 60}
	r.report(t, rep)
	rep.Boot, rep.Exit = "2", nil
	r.report(t, rep)
	node := " step=launch ip=10.0.0.5 mac=52:54:00:00:00:01 system=probe "
	want := `
level=INFO msg="node: SSH server"` + node + `host_key=SHA256:abc[2J
level=WARN msg="node: system ended"` + node + `ended=probe code=3 reason="because of" last_line="last  "
level=WARN msg="node: system ended"` + node + `ended=probe code=3 reason="" last_line=` + strings.Repeat("x", report.ExitWidth) + `
level=INFO msg="node: system ended"` + node + `ended=probe code=0 reason="" last_line=""
level=INFO msg="node: SSH server"` + node + `host_key=SHA256:abc[2J
`
	if got := "\n" + r.log.String(); got != want {
		t.Errorf("log:%s\nwant:%s", got, want)
	}
}

// What goes wrong in a node's swarm is logged when it begins.
func TestSwarmTrouble(t *testing.T) {
	r := newRegistry()
	rep := report.Report{MAC: "52:54:00:00:00:01", IP: "10.0.0.7", Step: report.Fetch, State: report.Running,
		Transfer: report.Transfer{Fallback: true, Banned: []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("::ffff:10.0.0.8")}}}
	r.report(t, rep)
	r.report(t, rep)
	rep.Fallback = false
	r.report(t, rep)
	log := r.log.String()
	for _, want := range []string{"fetches by HTTP", "peer=10.0.0.9", "peer=10.0.0.8"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("want %q once in\n%s", want, log)
		}
	}
	if got := r.list(t)[0]; got.Fallback || !slices.Equal(got.Banned, []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.8")}) {
		t.Errorf("listed is %+v", got)
	}
}

func TestReportRefused(t *testing.T) {
	const start = `{"mac":"52:54:00:00:00:01","step":"fetch","state":"running"`
	for name, c := range map[string]struct {
		body string
		code int
		want string
	}{
		"not JSON":           {"hello", 400, "JSON"},
		"nothing":            {"", 400, "JSON"},
		"no MAC":             {`{"step":"fetch","state":"running"}`, 400, "mac"},
		"a MAC of 8 bytes":   {`{"mac":"02:00:5e:10:00:00:00:01","step":"fetch","state":"done"}`, 400, "mac"},
		"everybody's MAC":    {`{"mac":"ff:ff:ff:ff:ff:ff","step":"fetch","state":"done"}`, 400, "no machine's"},
		"unknown step":       {`{"mac":"52:54:00:00:00:01","step":"dance","state":"running"}`, 400, "hardware network"},
		"unknown state":      {`{"mac":"52:54:00:00:00:01","step":"fetch","state":"x"}`, 400, "running done failed"},
		"negative number":    {start + `,"down":-1}`, 400, "down"},
		"too large a number": {start + `,"uptime":1e300}`, 400, "uptime"},
		"infinite number":    {start + `,"uptime":1e999}`, 400, "JSON"},
		"no address":         {start + `,"banned":["\u001b[2J"]}`, 400, "JSON"},
		"bad duration":       {start + `,"durations":{"fetch":-2}}`, 400, "fetch took -2"},
		"unknown duration":   {start + `,"durations":{"dance":2}}`, 400, "dance"},
		"source":             {start + `,"sources":[{"addr":"10.0.0.1","bytes":-1}]}`, 400, "sources: -1"},
		"source of nobody":   {start + `,"sources":[{"bytes":1}]}`, 400, "sources: 1 bytes from"},
		"too many sources":   {start + `,"sources":[` + strings.Repeat(`{"addr":"10.0.0.1"},`, report.MaxSources) + `{}]}`, 400, "more than 12"},
		"exit code":          {start + `,"exit":{"system":"x","code":256}}`, 400, "exit: code 256"},
		"phase 1's port":     {start + `,"phase1":{"port":70000,"image":"` + strings.Repeat("a", 40) + `"}}`, 400, "phase1: 0 bytes at port 70000"},
		"phase 1's image":    {start + `,"phase1":{"port":80,"image":"../x"}}`, 400, "40 hexadecimal"},
		"phase 1's bytes":    {start + `,"phase1":{"port":80,"served":-1,"image":"` + strings.Repeat("a", 40) + `"}}`, 400, "phase1: -1"},
		"exit time":          {start + `,"exit":{"system":"x","at":-1}}`, 400, "exit: at"},
		"too long":           {start + `,"error":"` + strings.Repeat("x", report.MaxBody) + `"}`, 413, "32 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry()
			if w := r.post(c.body); w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("answer %d %q, want %d with %q", w.Code, w.Body, c.code, c.want)
			}
			if list := r.list(t); len(list) != 0 {
				t.Errorf("it was recorded: %v", list)
			}
		})
	}
	w := httptest.NewRecorder()
	newRegistry().ReportHandler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET of a report: %d", w.Code)
	}
}

func TestStringsAreMadePrintable(t *testing.T) {
	r := newRegistry()
	r.report(t, report.Report{MAC: "52:54:00:00:00:01", Step: report.Fetch, State: report.Failed,
		Error: "line\nbreak \x1b[31mred\x1b[0m \u202eevil\x00", Name: strings.Repeat("ä", 200), Transfer: report.Transfer{Size: 10, Done: 25}})
	n := r.list(t)[0]
	if want := "line break [31mred[0m evil"; n.Error != want {
		t.Errorf("error %q, want %q", n.Error, want)
	}
	if n.Name != strings.Repeat("ä", 126) {
		t.Errorf("name of %d bytes: %q", len(n.Name), n.Name)
	}
	if n.Percent() != 100 {
		t.Errorf("percent %v", n.Percent())
	}
	long := strings.Repeat("\x1b]0;evil\a", 50)
	r.report(t, report.Report{MAC: "52:54:00:00:00:02", Step: report.Fetch, State: report.Running, Serial: long, Vendor: long, Model: long, Firmware: long,
		Group: long, Machine: long, Next: long})
	for _, n := range r.list(t) {
		for _, text := range []string{n.Serial, n.Vendor, n.Model, n.Firmware, n.Group, n.Machine, n.Next} {
			if len(text) > 255 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("what a machine says of itself is kept as %d bytes, %.20q", len(text), text)
			}
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add(`{"mac":"52:54:00:00:00:01","step":"fetch","state":"running","durations":{"fetch":1}}`)
	f.Add(`{"mac":"52:54:00:00:00:01","ip":"fe80::1%x","step":"fetch","state":"failed","error":"\u001b\ud800"}`)
	f.Add(`{"mac":"52:54:00:00:00:01","step":"fetch","state":"running","phase1":{"port":8081,"image":"` + strings.Repeat("0a", 20) + `","served":7}}`)
	f.Add(`{"mac":"52:54:00:00:00:01","step":"launch","state":"running","exit":{"system":"x\u001b","code":3,"lines":["\u0007"]},"host_key":"\u001b"}`)
	f.Add(`{"mac":"52:54:00:00:00:01","step":"fetch","state":"running","cpu":97,"link_mbps":100,"sources":[{"addr":"10.0.0.2","bytes":7},{"addr":"fe80::1%x"}]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		r := newRegistry()
		w := r.post(body)
		list := r.list(t)
		if taken := w.Code == http.StatusNoContent; taken != (len(list) == 1) {
			t.Fatalf("answered %d, recorded %v", w.Code, list)
		}
		for _, n := range list {
			if n.Exit != nil {
				n.Error += n.Exit.System + n.Exit.Reason + strings.Join(n.Exit.Lines, "")
			}
			if strings.ContainsFunc(n.Error+n.Name+n.System+n.Boot+n.HostKey+n.Serial+n.Vendor+n.Model+n.Firmware+n.Group+n.Machine+n.Next, unicode.IsControl) {
				t.Errorf("control characters in %+v", n)
			}
		}
		if n := strings.Count(r.log.String(), "\n"); n > len(report.Steps)+3 {
			t.Errorf("%d log lines for one report", n)
		}
	})
}

// A node that goes on under its system's own kernel is in the same boot, whatever steps it goes through again; when the system runs, it
// is logged once that it gives that away.
func TestGoesOnUnderAnotherKernel(t *testing.T) {
	r := newRegistry()
	start := r.now
	rep := report.Report{Boot: "1", MAC: "52:54:00:00:00:01", IP: "10.0.0.5", System: "debian", Step: report.Launch, State: report.Done,
		Durations: map[report.Step]float64{report.Network: 3, report.Fetch: 1}, Uptime: 40}
	r.report(t, rep)
	for i, step := range []report.Step{report.Hardware, report.Network, report.Catalog, report.Fetch, report.Seed, report.Launch} {
		r.now = start.Add(time.Duration(i+1) * time.Second)
		rep.Step, rep.State = step, report.Running
		rep.Uptime++
		r.report(t, rep)
	}
	rep.Durations[report.Fetch] = 21
	rep.Step, rep.State = report.Give, report.Running
	rep.Uploaded = 5 << 20
	r.now = start.Add(time.Minute)
	r.report(t, rep)
	r.report(t, rep)
	n := r.list(t)[0]
	if n.Previous != nil || n.Step != report.Give || n.Durations[report.Network] != 3 || n.Durations[report.Fetch] != 21 || !n.Since.Equal(r.now) {
		t.Errorf("listed is %+v", n)
	}
	if n.SwitchedOff(r.now.Add(report.Silence)) || !n.SwitchedOff(r.now.Add(report.Silence+time.Second)) {
		t.Error("a node whose system runs is switched off when it has been silent for too long, and not before")
	}
	if got := r.log.String(); strings.Contains(got, "WARN") || strings.Count(got, "gives that away") != 1 {
		t.Errorf("log:\n%s", got)
	}
}
