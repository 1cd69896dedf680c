package integration

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/integration/lab"
)

// Machines of three groups start what their group says: one by its MAC address, whose menu is locked, until somebody knows the password;
// one by its serial number, whose menu is hidden until its countdown ends; one by its memory, at once. Their names and groups are in the
// command lines of the systems.
func TestMachinesOfThreeGroups(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, fmt.Sprintf(`default: tiny
timeout: 0
seed_time: 0
groups:
  - {name: kiosks, match: {mac: ["52:54:00:aa:00:00-52:54:00:aa:00:ff"]}, timeout: 600, menu: locked, password: "%s", cmdline: "in={{.Group}}"}
  - {name: desks, match: {serial: ["pf-*"]}, default: other, timeout: 15, menu: hidden, hostname: "desk-{{.Last}}", cmdline: "in={{.Group}} name={{.Hostname}} serial={{.Serial}}"}
  - {name: large, match: {memory: ">= 1 GiB"}, default: other, cmdline: "in={{.Group}}"}
machines:
  - {mac: "52:54:00:aa:00:10", name: kiosk1, hostname: lobby}
`, hash))
	for _, name := range []string{"tiny", "other"} {
		r.must(r.site.AddTiny(t.Context(), name, 1<<20))
	}
	r.dhcp()
	r.serve()
	arg := r.seederArg()
	with := func(name, mac string, memory int, args ...string) *lab.Node {
		c := r.direct(name, arg)
		c.MemoryMiB, c.NICs, c.Args = memory, []lab.NIC{{MAC: mac}}, args
		return r.node(c)
	}
	kiosk := with("kiosk", "52:54:00:aa:00:10", 1024)
	desk := with("desk", "52:54:00:bb:00:20", 1024, "-smbios", "type=1,serial=PF-2 ABC")
	const spare = "52:54:00:cc:00:40" // of whom the site says nothing
	r.order(`^`+spare+`: next menu\n$`, "next", spare, "menu")
	waiting := with("spare", spare, 512)
	large := with("large", "52:54:00:bb:00:30", 1024) // of which the kernel leaves less than 1 GiB

	lab.AwaitScreen(t, desk.Console(), toChooser, `Starting Tiny system \(other\) in 0:1\d. Press a key for the menu.`)
	started := func(n *lab.Node, words ...string) {
		t.Helper()
		mac, cmdline := r.awaitTiny(n, toSystem)
		for _, w := range words {
			if !strings.Contains(" "+cmdline+" ", " "+w+" ") {
				t.Errorf("%s was started with %q, without %q", mac, cmdline, w)
			}
		}
	}
	started(large, "in=large")
	started(desk, "in=desks", "name=desk-bb0020", "serial=PF-2-ABC")

	r.ordersSpare(waiting, spare)

	c := kiosk.Console()
	lab.AwaitScreen(t, c, toChooser, `> Tiny system \(tiny\)`)
	r.must(c.Send("s"))
	lab.AwaitScreen(t, c, soon, `This menu is locked`)
	r.must(c.Send("sesame" + lab.Enter))
	lab.AwaitScreen(t, c, soon, `That is not the password`)
	r.must(c.Send("\x03" + "i"))
	lab.AwaitScreen(t, c, soon, `(?s)Name +kiosk1.*Group +kiosks \(match of group kiosks\).*machine 52:54:00:aa:00:10\s+says hostname`)
	r.must(c.Send("xk"))
	lab.AwaitScreen(t, c, soon, `> Tiny system \(other\)`)
	r.must(c.Send(lab.Enter))
	lab.AwaitScreen(t, c, soon, `Password:`)
	r.must(c.Send("open sesame" + lab.Enter))
	started(kiosk, "in=kiosks")

	for mac, want := range map[string]string{"52:54:00:aa:00:10": "kiosks kiosk1 lobby", "52:54:00:bb:00:20": "desks desk-bb0020 desk-bb0020"} {
		if rep := r.reports()[mac]; fmt.Sprint(rep.Group, " ", rep.Machine, " ", rep.Name) != want || rep.MemoryMiB != 1024 {
			t.Errorf("%s reported %s, %s, %s with %d MiB, want %s", mac, rep.Group, rep.Machine, rep.Name, rep.MemoryMiB, want)
		}
	}
}

// ordersSpare has a machine, which waits at its chooser as somebody said so, start another system once, by a restart.
func (r *room) ordersSpare(n *lab.Node, mac string) {
	r.t.Helper()
	lab.AwaitScreen(r.t, n.Console(), toChooser, `> Tiny system`)
	r.order(`next other, once`, "next", mac, "other", "--once")
	r.order(`taken: showing the chooser`, "choose", mac)
	r.order(`taken: restarting`, "reboot", mac)
	r.awaitTiny(n, toSystem)
	if got := r.reports()[mac].System; got != "other" {
		r.t.Errorf("it starts %q, want what was said for once", got)
	}
	r.order(`Nothing is said`, "next")
}
