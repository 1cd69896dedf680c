package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/boottorrent/boottorrent/internal/need"
)

type entry struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

func TestRecords(t *testing.T) {
	var got []entry
	var text bytes.Buffer
	h := New(slog.LevelInfo, slog.NewTextHandler(&text, nil))
	h.send = func(m string, p journal.Priority, f map[string]string) error {
		got = append(got, entry{m, p, f})
		return nil
	}
	log := slog.New(h)
	log.Debug("not wanted")
	log.Info("ready")
	log.With("client", "10.0.0.1").WithGroup("dhcp").Warn("two words", "mac", "52:54:00:00:00:01", "odd-key", 1, slog.Group("in", "a", true))
	log.Error("bad", "err", errors.New("line\nline"))
	id := Identifier
	want := []entry{
		{"ready", journal.PriInfo, map[string]string{"SYSLOG_IDENTIFIER": id}},
		{"two words client=10.0.0.1 dhcp.mac=52:54:00:00:00:01 dhcp.odd-key=1 dhcp.in.a=true", journal.PriWarning, map[string]string{
			"SYSLOG_IDENTIFIER": id, "BOOTTORRENT_CLIENT": "10.0.0.1", "BOOTTORRENT_DHCP_MAC": "52:54:00:00:00:01",
			"BOOTTORRENT_DHCP_ODD_KEY": "1", "BOOTTORRENT_DHCP_IN_A": "true",
		}},
		{`bad err="line\nline"`, journal.PriErr, map[string]string{"SYSLOG_IDENTIFIER": id, "BOOTTORRENT_ERR": "line\nline"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if text.Len() > 0 {
		t.Errorf("also as text: %s", &text)
	}
	h.send = func(string, journal.Priority, map[string]string) error { return errors.New("no journal") }
	log.With("a", 1).Info("lost", "b", 2)
	if s := text.String(); !strings.Contains(s, "msg=lost a=1 b=2") {
		t.Errorf("what the journal did not take: %q", s)
	}
}

// TestMain makes this program one that logs, where that is asked.
func TestMain(m *testing.M) {
	if os.Getenv("BOOTTORRENT_TEST_LOGS") != "" {
		if !Connected() {
			slog.Error("JOURNAL_STREAM does not say that this is the journal")
			os.Exit(1)
		}
		slog.New(New(slog.LevelInfo, slog.DiscardHandler)).Warn("node: step failed", "mac", "52:54:00:00:00:01", "err", "line\nline",
			"long", strings.Repeat("x", 1<<20))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// systemd's own journal, in folders of this test alone, takes an entry with its fields, also one that is too long for a datagram.
func TestJournal(t *testing.T) {
	need.Namespaces(t)
	need.Command(t, "journalctl", "systemd")
	need.File(t, "/lib/systemd/systemd-journald", "systemd")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald &
journald=$!
trap 'kill $journald; wait $journald' EXIT
while ! [ -S /run/systemd/journal/socket ]; do kill -0 $journald; sleep 0.05; done
BOOTTORRENT_TEST_LOGS=1 JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) "$1"
journalctl --flush --sync 2>/dev/null || journalctl --sync
journalctl --all -o json -t boottorrent _TRANSPORT=journal`
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script, "sh", self)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	var e map[string]any
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatalf("%v in %.300q\n%s", err, out, &stderr)
	}
	for field, want := range map[string]string{"PRIORITY": "4", "BOOTTORRENT_MAC": "52:54:00:00:00:01", "BOOTTORRENT_ERR": "line\nline", "BOOTTORRENT_LONG": strings.Repeat("x", 1<<20)} {
		if e[field] != want {
			t.Errorf("%s is %.100q, want %.100q", field, e[field], want)
		}
	}
	if m, _ := e["MESSAGE"].(string); !strings.HasPrefix(m, "node: step failed mac=52:54:00:00:00:01") {
		t.Errorf("MESSAGE is %.100q", m)
	}
}
