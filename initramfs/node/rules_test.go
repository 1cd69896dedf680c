package node

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// hash is of a password, as cheap as there are.
func hash(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// rooted is a system of the method root.
func rooted(name string) catalog.System {
	s := kexec(name)
	s.Launch = catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{Cmdline: "quiet -- single", Writable: catalog.WritableRAM}}
	return s
}

// withLease gives a node with a MAC address ending in 07 a lease that nobody renews.
func withLease(n *Node) {
	n.Facts.Serial, n.Facts.Installed.Bytes = "PF 2ABC", 8<<30
	n.link.setHostname = func(string) error { return nil }
	n.link.setLease(network.Lease{Interface: "eth0", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}, Addr: netip.MustParsePrefix("10.0.0.7/24"), Hostname: "dhcp7"})
}

func ruled(r catalog.Rules) *catalog.Catalog {
	c := listing(kexec("one"), rooted("two"), kexec("three"))
	c.Defaults = catalog.Defaults{System: "one", Timeout: 10, SeedTime: 20}
	c.Rules = r
	return c
}

// What a group says holds on the node in place of what the site says.
func TestRulesHold(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	n.keys.file = filepath.Join(t.TempDir(), "run", "keys")
	withLease(n)
	two, now := "two", 0
	cat := ruled(catalog.Rules{
		Groups: []catalog.Group{{Name: "small", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: "<", Bytes: 8 << 30}}}, {
			Name: "desks", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: ">=", Bytes: 8 << 30}, Serial: []string{"pf*"}},
			Settings: catalog.Settings{
				Default: &two, Timeout: &now, Systems: []string{"two"}, Cmdline: "lang={{.Group}}", Hostname: "desk-{{.Last}}", Writable: catalog.WritableNone,
				WritableLimit: catalog.Share{Percent: 10}, SSHKeys: []string{"ssh-ed25519 AAAA"}, Seed: &catalog.Seeding{Until: catalog.UntilRatio, Ratio: 2, Limit: 60},
				Limits: &catalog.Limits{Upload: 1000, Download: 2000}, Menu: catalog.MenuLocked, Password: hash(t, "open"),
			}}},
	})
	got := n.apply(t.Context(), cat)
	if len(got.Systems) != 1 || got.Defaults.System != "two" || got.Defaults.Timeout != 0 || got.Limits.Download != 2000 {
		t.Errorf("defaults %+v, limits %+v, %d systems", got.Defaults, got.Limits, len(got.Systems))
	}
	if leaving := got.Defaults.Leaving(); leaving != (catalog.Seeding{Until: catalog.UntilRatio, Ratio: 2, Limit: 60}) {
		t.Errorf("it leaves %+v", leaving)
	}
	r := got.Systems[0].Launch.Root
	if r.Cmdline != "quiet lang={{.Group}} -- single" || r.Writable != catalog.WritableNone || r.WritableLimit.Percent != 10 {
		t.Errorf("the system is started as %+v", r)
	}
	if cat.Systems[1].Launch.Root.Cmdline != "quiet -- single" || len(cat.Systems) != 3 {
		t.Error("the signed catalog was changed")
	}
	if l := n.link.lease(); l.Hostname != "desk-000007" || !l.Named {
		t.Errorf("its name is %q", l.Hostname)
	}
	if text, err := os.ReadFile(n.keys.file); string(text) != "ssh-ed25519 AAAA\n" {
		t.Errorf("the SSH server reads %q, %v", text, err)
	}
	rep := n.Report.Snapshot()
	if rep.Group != "desks" || rep.Machine != "desk-000007" || rep.Name != "desk-000007" {
		t.Errorf("it reports %+v", rep)
	}
	v := n.vars(got.Systems[0])
	if v["Group"] != "desks" || v["Serial"] != "PF-2ABC" || v["Hostname"] != "desk-000007" {
		t.Errorf("placeholders %v", v)
	}
	if p := n.place().Machine; p.Name != "desk-000007" || !strings.Contains(p.Group, "match of group desks") || !strings.Contains(p.Rules, "group desks says") {
		t.Errorf("its screen shows %+v", p)
	}
	if !n.lock.locked() {
		t.Error("its menu is not locked")
	}
}

// What the kernel command line says is above the rules.
func TestRulesBelowTheCommandLine(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	withLease(n)
	wait := -1
	n.Cmdline.System, n.Cmdline.Timeout, n.Cmdline.Network.Hostname = "three", &wait, "mine"
	got := n.apply(t.Context(), ruled(catalog.Rules{Groups: []catalog.Group{{Name: catalog.GroupAll, Settings: catalog.Settings{
		Systems: []string{"one"}, Hostname: "theirs", Next: "one",
	}}}}))
	if len(got.Systems) != 2 || got.Defaults.System != "three" || got.Defaults.Timeout != -1 || n.link.lease().Hostname != "dhcp7" {
		t.Errorf("%d systems, %+v, named %s", len(got.Systems), got.Defaults, n.link.lease().Hostname)
	}
	if next, notice := n.next(n.items(got), false); next != "" || notice != "" {
		t.Errorf("next is %q (%s)", next, notice)
	}
}

// A node does what somebody said that it does next: once a boot, and it says so when it does.
func TestNextIsFollowed(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	withLease(n)
	says := func(what string) *catalog.Catalog {
		c := n.apply(t.Context(), ruled(catalog.Rules{Next: []catalog.Next{{ID: "n1", MAC: "52:54:00:00:00:07", What: what}}}))
		n.session.catalog = c
		return c
	}
	got, err := n.Choose(t.Context(), says("three"), false)
	if err != nil || got.Action != decision.Start || got.System != "three" {
		t.Fatalf("it does %+v, %v", got, err)
	}
	if n.Report.Snapshot().Next != "" {
		t.Error("it said so before it starts the system")
	}
	if n.followed(); n.Report.Snapshot().Next != "n1" {
		t.Error("it doesn't say so")
	}
	if next, notice := n.next(n.items(says("three")), true); next != "" || notice != "" {
		t.Errorf("somebody has come back to the chooser, and next is %q (%s)", next, notice)
	}
	if next, notice := n.next(n.items(says("gone")), false); next != "" || !strings.Contains(notice, "starts gone next, which it can't") {
		t.Errorf("next is %q (%s)", next, notice)
	}
	if next, _ := n.next(n.items(says(catalog.StartMenu)), false); next != catalog.StartMenu || n.following != "n1" {
		t.Errorf("next is %q, by %q", next, n.following)
	}
}

// The password opens the chooser; a wrong one doesn't, and three in a row are followed by a pause.
func TestLock(t *testing.T) {
	l := newLock([]string{hash(t, "other"), hash(t, "open")})
	synctest.Test(t, func(t *testing.T) {
		for try, password := range []string{"a", "", "open", "b", "c", "d"} {
			got := l.try(try, password, time.Now)
			want := menu.PasswordMsg{Try: try, Right: password == "open"}
			if password == "d" {
				want.Until = time.Now().Add(lockPause)
			}
			if got != want {
				t.Errorf("%q: %+v, want %+v", password, got, want)
			}
		}
		if l.try(9, "open", time.Now).Right {
			t.Error("the right password counts in the pause")
		}
		time.Sleep(lockPause)
		if !l.try(10, "open", time.Now).Right {
			t.Error("the right password doesn't count after the pause")
		}
	})
	l.set(catalog.Settings{Menu: catalog.MenuHidden, Password: hash(t, "open")})
	if l.locked() || l.guard(t.Context(), nil).Check != nil {
		t.Error("a menu that is not locked asks for a password")
	}
}

// Each password is looked at once, however many consoles show the screen.
func TestLockOnManyConsoles(t *testing.T) {
	events := make(chan tea.Msg)
	guard := newLock([]string{hash(t, "open")}).guard(t.Context(), events)
	for range 3 {
		guard.Check(1, "open")
	}
	guard.Check(2, "no")
	got := map[int]bool{}
	for range 2 {
		m := (<-events).(menu.PasswordMsg)
		got[m.Try] = m.Right
	}
	if len(got) != 2 || !got[1] || got[2] {
		t.Errorf("told %v", got)
	}
}

// A person types a wrong password, and then the right one, at a real console.
func TestLockedAtTheConsole(t *testing.T) {
	n, p := newNode(t, "")
	n.ByHand = true // nothing is fetched ahead
	n.lock.set(catalog.Settings{Menu: catalog.MenuLocked, Password: hash(t, "open sesame")})
	chosen := make(chan decision.Decision, 1)
	go func() {
		d, err := n.Choose(t.Context(), listing(kexec("one"), kexec("two")), true)
		if err != nil {
			t.Error(err)
		}
		chosen <- d
	}()
	p.see("System two")
	p.send("j\r")
	p.see("Password:")
	p.send("wrong\r")
	p.see("That is not the password.")
	p.send("open sesame\r")
	if d := <-chosen; d.System != "two" || d.Action != decision.Start {
		t.Errorf("chosen was %+v", d)
	}
	if strings.Contains(p.all(), "sesame") {
		t.Errorf("the console showed the password:\n%s", p.all())
	}
}

// Facts stay what they were when they were first known.
func TestFactsHoldForABoot(t *testing.T) {
	n, _ := newNode(t, "")
	if f := n.ruleFacts(); f.Addr.IsValid() || n.facts != nil {
		t.Errorf("without a network there are %+v", f)
	}
	withLease(n)
	first := n.ruleFacts()
	if first.MAC != "52:54:00:00:00:07" || first.Memory != 8<<30 || !first.Complete || first.Firmware != catalog.FirmwareBIOS {
		t.Errorf("facts %+v", first)
	}
	n.link.setLease(network.Lease{MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}, Addr: netip.MustParsePrefix("10.9.0.7/24")})
	if again := n.ruleFacts(); again.Addr != first.Addr {
		t.Errorf("with another address the facts are %+v", again)
	}
	if d := describe(rules.For(ruled(catalog.Rules{}), first)); !strings.Contains(d, "in no group") {
		t.Error(d)
	}
}
