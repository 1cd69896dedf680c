package handoff

import (
	"net"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestCmdline(t *testing.T) {
	w := Words{System: "debian", Seeder: "http://10.0.0.1:8080", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xa}, Consoles: []string{"tty0", "ttyS0,115200"}}
	const ours = "bt.system=debian bt.timeout=0 bt.seeder=http://10.0.0.1:8080 BOOTIF=01-02-00-00-00-00-0a"
	for own, want := range map[string]string{
		"":                             ours + " loglevel=5 panic=30 no5lvl console=tty0 console=ttyS0,115200",
		"quiet console=ttyS1":          "quiet console=ttyS1 " + ours + " panic=30 no5lvl",
		"loglevel=7 panic=0":           "loglevel=7 panic=0 " + ours + " no5lvl console=tty0 console=ttyS0,115200",
		"console=hvc0 -- single":       "console=hvc0 " + ours + " loglevel=5 panic=30 no5lvl -- single",
		`dyndbg="file a -- +p" debug `: `dyndbg="file a -- +p" debug ` + ours + " panic=30 no5lvl console=tty0 console=ttyS0,115200",
	} {
		if got, err := Cmdline(own, w); err != nil || got != want {
			t.Errorf("%q becomes\n\t%s, %v; want\n\t%s", own, got, err, want)
		}
	}
	w.System, w.Debug, w.Seen = "Debian 12", true, 1795420800
	if got, err := Cmdline("", w); err != nil || !strings.HasPrefix(got, `bt.system="Debian 12" `) || !strings.Contains(got, " bt.seen=1795420800 bt.debug ") {
		t.Errorf("%s, %v", got, err)
	}
	long := Words{System: strings.Repeat("n", 64), Seeder: "http://255.255.255.255:65535", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xa}, Debug: true, Seen: catalog.MaxCounter}
	for range 10 {
		long.Consoles = append(long.Consoles, "ttyS0,115200n8")
	}
	if got, err := Cmdline(strings.Repeat("x", catalog.MaxRootCmdline), long); err != nil {
		t.Errorf("a line as long as a site may have: %s, %v", got, err)
	}
	if _, err := Cmdline(strings.Repeat("x", catalog.MaxCmdline-100), w); err == nil || !strings.Contains(err.Error(), "shorten cmdline:") {
		t.Errorf("a line that is too long: %v", err)
	}
}
