package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	nodeorder "github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/forward"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/siblings"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// say posts a value to a seeder as JSON, and returns the answer's status and body.
func say(t *testing.T, base, path string, value any, header ...string) (int, []byte) {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, bytes.NewReader(text))
	must(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, body
}

// nodeOf is a node as a seeder has it; the zero Node if it has none.
func nodeOf(base, mac string) report.Node {
	var all []report.Node
	_ = json.Unmarshal(read(base, catalog.PathNodes), &all)
	for _, n := range all {
		if n.MAC == mac {
			return n
		}
	}
	return report.Node{}
}

// awaitListed waits until a seeder lists another one.
func awaitListed(t *testing.T, base, other string) {
	t.Helper()
	await(t, base+" lists "+other, func() bool { return strings.Contains(listedBy(t, base), other) })
}

// asMirror makes itself a mirror of a seeder, as anybody can: by serving what that one serves. It returns the headers of what it hands on for a node
// at an address.
func asMirror(t *testing.T, base, node string) []string {
	t.Helper()
	to, err := url.Parse(base)
	must(t, err)
	fake := httptest.NewServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(fake.Close)
	at, err := netip.ParseAddrPort(strings.TrimPrefix(fake.URL, "http://"))
	must(t, err)
	hello := siblings.Hello{HTTP: at.Port(), Torrent: 1, Counter: 1}.String()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+catalog.PathCatalog, nil)
	must(t, err)
	req.Header.Set(siblings.Header, hello)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	awaitListed(t, base, fake.URL)
	return []string{siblings.Header, hello, forward.Header, node}
}

const behind = "52:54:00:00:00:0b"

func waits(boot string) report.Report {
	return report.Report{MAC: behind, Boot: boot, IP: "10.7.0.9", Step: report.Choose, State: report.Running, Uptime: 20}
}

// What nodes tell a mirror is shown by the first seeder as well, and its orders reach them.
func TestHandedOn(t *testing.T) {
	s := newSite(t)
	first := start(t, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", ""))
	awaitSystem(t, second.base, "one", status.Published)
	awaitListed(t, first.base, second.base)

	began := time.Now()
	say(t, second.base, catalog.PathReport, waits("one"))
	await(t, "the first seeder has the node", func() bool { return nodeOf(first.base, behind).Boot == "one" })
	t.Logf("a report was at the first seeder %s after it was sent to the mirror", time.Since(began))
	if n := nodeOf(first.base, behind); n.Via != second.base || n.IP != "10.7.0.9" {
		t.Errorf("it is at %q, behind %q, want %q", n.IP, n.Via, second.base)
	}
	if n := nodeOf(second.base, behind); n.Via != "" || n.Boot != "one" {
		t.Errorf("the mirror has it as %+v", n)
	}
	say(t, second.base, catalog.PathLog, report.Log{Boot: "one", MAC: behind, Lines: []string{"a line"}})
	for _, r := range []*running{first, second} {
		await(t, "the log is in "+r.dir, func() bool {
			return strings.Contains(loggedAt(r.dir), "a line")
		})
	}

	var given orders.Batch
	must(t, Control{Dir: first.dir}.Post(t.Context(), "orders", api.Request{Targets: []string{behind}, Action: string(nodeorder.Reboot)}, &given))
	// The mirror's machine has an address of the first seeder's own network here, so it may be one that never spoke to the mirror.
	if code, answer := say(t, second.base, catalog.PathReport, waits("one")); code != http.StatusNoContent {
		t.Errorf("a machine of the first seeder's network that speaks to a mirror is answered with %d %s", code, answer)
	}
	elsewhere := asMirror(t, second.base, "10.7.0.9")
	began = time.Now()
	code, answer := say(t, second.base, catalog.PathReport, waits("one"), elsewhere...)
	t.Logf("the node had the order %s after it began to report", time.Since(began))
	key, err := s.PublicKey()
	must(t, err)
	got, err := nodeorder.Open(key, answer)
	if err != nil || code != http.StatusOK || got.Action != nodeorder.Reboot || got.Boot != "one" || got.Counter != given.ID {
		t.Fatalf("the next report is answered with %d, %+v, %v", code, got, err)
	}
	took := waits("one")
	took.Order = &report.Order{Counter: got.Counter, State: report.OrderTaken, Text: "restarts"}
	if code, answer := say(t, second.base, catalog.PathReport, took, elsewhere...); code != http.StatusNoContent {
		t.Errorf("once it is taken, reports are answered with %d %s", code, answer)
	}
	must(t, Control{Dir: first.dir}.Get(t.Context(), fmt.Sprintf("orders/%d?waiting=0", given.ID), &given))
	if given.Nodes[0].State != orders.Taken {
		t.Errorf("the first seeder has the order as %+v", given.Nodes[0])
	}

	// A stranger speaks for nobody but itself, whatever it says of where a report is from.
	other := waits("two")
	other.MAC = "52:54:00:00:00:0c"
	other.IP = ""
	origin := forward.Origin{Node: netip.MustParseAddr("10.7.0.66"), Age: time.Hour}.String()
	say(t, first.base, catalog.PathReport, other, forward.Header, origin)
	if n := nodeOf(first.base, other.MAC); n.IP != "127.0.0.1" || n.Via != "" || time.Since(n.Seen) > time.Minute {
		t.Errorf("somebody who is no mirror has a report shown as from %s, behind %q, seen %s", n.IP, n.Via, n.Seen)
	}
	hello := siblings.Hello{HTTP: 1, Torrent: 1, Counter: 1}.String()
	other.MAC = "52:54:00:00:00:0d"
	if code, _ := say(t, first.base, catalog.PathReport, other, forward.Header, origin, siblings.Header, hello); code != http.StatusServiceUnavailable {
		t.Errorf("a mirror that never asked for the catalog is answered with %d", code)
	}
	if n := nodeOf(first.base, other.MAC); n.MAC != "" {
		t.Errorf("its report is shown: %+v", n)
	}
	if code, _ := say(t, first.base, catalog.PathLocal, catalog.LocalRequest{MAC: behind, Sent: true}); code != http.StatusForbidden {
		t.Errorf("somebody who is no mirror may say that a machine was sent to its disk: %d", code)
	}
}

// loggedAt are the logs of a seeder's nodes.
func loggedAt(dir string) (text string) {
	files, _ := filepath.Glob(filepath.Join(dir, site.StateDir, LogDir, "*.log"))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		text += string(b)
	}
	return text
}

// What nodes tell while the first seeder is away is kept, also over a restart of the mirror, and comes when it is back.
func TestKeptWhileAway(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	second, stop := startMirror(t, dir)
	awaitSystem(t, second.base, "one", status.Published)
	awaitListed(t, first.base, second.base)
	cancel()
	<-first.ended
	say(t, second.base, catalog.PathReport, waits("one"))
	say(t, second.base, catalog.PathReport, waits("two"))
	said := time.Now()
	say(t, second.base, catalog.PathLog, report.Log{Boot: "two", MAC: behind, Lines: []string{"said while nobody heard"}})
	second.awaitLog("reports and logs are kept")
	stop()
	again, _ := startMirror(t, dir)
	awaitSystem(t, again.base, "one", status.Published)
	time.Sleep(time.Until(said.Add(1500 * time.Millisecond))) // so that it is seen when it was said
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	first = start(t, s)
	await(t, "the first seeder has the node's last report", func() bool { return nodeOf(first.base, behind).Boot == "two" })
	n := nodeOf(first.base, behind)
	if off := n.Seen.Sub(said).Abs(); off > time.Second {
		t.Errorf("it is shown as of %s, and was said at %s", n.Seen, said)
	}
	await(t, "the first seeder has the log", func() bool { return strings.Contains(loggedAt(first.dir), "said while nobody heard") })
}

// A machine that wants its own disk gets it from whichever seeder it asks, once.
func TestLocalHandedOn(t *testing.T) {
	s := newSite(t)
	first := start(t, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", ""))
	awaitSystem(t, second.base, "one", status.Published)
	awaitListed(t, first.base, second.base)
	elsewhere := asMirror(t, second.base, "10.7.0.9") // from where the wish comes
	say(t, second.base, catalog.PathReport, waits("one"), elsewhere...)
	await(t, "the first seeder has the node", func() bool { return nodeOf(first.base, behind).Boot == "one" })
	if code, body := say(t, second.base, catalog.PathLocal, catalog.LocalRequest{MAC: behind}, elsewhere...); code != http.StatusNoContent {
		t.Fatalf("%d %s", code, body)
	}
	first.awaitLog("a machine restarts and starts its own disk then")
	script := catalog.PathScript + "?mac=" + behind
	if got := string(read(second.base, script)); !strings.Contains(got, "sanboot") && !strings.Contains(got, "exit") {
		t.Errorf("the mirror's script does not start the disk: %s", got)
	}
	first.awaitLog("a machine behind a mirror starts its own disk")
	if got := string(read(first.base, script)); strings.Contains(got, "sanboot") {
		t.Errorf("the wish counts twice: %s", got)
	}
}

// Whoever makes himself a mirror does nothing to the machines of the seeder's own network: he neither sends them to their disks, nor uses up what
// they are to start once, nor gets their orders. What he says of them is shown.
func TestFalseMirror(t *testing.T) {
	s := newSite(t)
	first := start(t, s)
	victim := waits("one")
	victim.IP = "127.0.0.1"
	say(t, first.base, catalog.PathReport, victim)
	control := Control{Dir: first.dir}
	must(t, control.Post(t.Context(), "orders", api.Request{Targets: []string{behind}, Action: string(nodeorder.Reboot)}, &orders.Batch{}))
	var said, left api.Next
	must(t, control.Post(t.Context(), "next", api.Request{Targets: []string{behind}, What: "local", Once: true}, &said))

	liar := asMirror(t, first.base, "127.0.0.1")
	lie := victim
	lie.Next, lie.Name = said.Next[0].ID, "a lie"
	if code, answer := say(t, first.base, catalog.PathReport, lie, liar...); code != http.StatusNoContent {
		t.Errorf("a report is answered with %d %s", code, answer)
	}
	if n := nodeOf(first.base, behind); n.Via == "" {
		t.Errorf("it is not shown: %+v", n)
	}
	for _, wish := range []catalog.LocalRequest{{MAC: behind}, {MAC: behind, Sent: true, Next: said.Next[0].ID}} {
		if code, answer := say(t, first.base, catalog.PathLocal, wish, liar...); code != http.StatusForbidden {
			t.Errorf("%+v is answered with %d %s", wish, code, answer)
		}
	}
	must(t, control.Get(t.Context(), "next", &left))
	if len(left.Next) != 1 || left.Next[0].ID != said.Next[0].ID {
		t.Errorf("left is %+v", left)
	}
	if code, _ := say(t, first.base, catalog.PathReport, victim); code != http.StatusOK {
		t.Errorf("the machine itself is answered with %d, and has an order", code)
	}
}
