package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
)

// debianSays are commands for a shell of the running Debian, and what they answer: a pattern.
var debianSays = map[string]string{
	"systemctl is-system-running --wait":                     `^running$`,
	"systemctl list-units --failed --plain --no-legend":      `^$`,
	"findmnt -n -o FSTYPE /":                                 `^overlay$`,
	"hostname; cat /etc/hostname":                            `^deb-[0-9a-f]{6}\s+deb-[0-9a-f]{6}$`, // by its group
	"cat /etc/for-machines /lib/for-machines":                `^group 52:54:00:\S+\s+all$`,
	"stat -c %a,%u:%g /usr/local/bin/suid; readlink /lib":    `^4755,1234:4321\s+usr/lib$`,
	"echo kept >/root/file && cat /root/file":                `^kept$`,
	"networkctl status -n 0 --no-pager | grep -w State":      `routable`,
	"cat /proc/$(pgrep -f ^@boottorrent)/cgroup":             `^0::/[a-z]*$`, // of no unit
	"chrt -p $(pgrep -f ^@boottorrent)":                      `SCHED_IDLE`,
	"ls /proc/$(pgrep -f ^@boottorrent)/root/bbin || echo 0": `0$`, // the old root file system is gone
}

// debianRoom is a room whose nodes start a real Debian as a root file system, of which each is asked over its serial line how it does.
type debianRoom struct {
	*room
	// release is what uname -r has to say, began when a node's system was chosen.
	release string
	began   map[*lab.Node]time.Time
}

// The kernel of the Debian on a live ISO is phase 1's own: it is mounted at once. Three machines boot by PXE. When the first runs, its
// network card is unplugged for a moment and gets another address; then the seeder is switched off, and the others, at their choosers
// until then, get all from it.
func TestDebianWithoutKexec(t *testing.T) {
	r := newDebianRoom(t, func(r *debianRoom, roots *kit.Roots, common, _ kit.Kernel) {
		iso, err := r.site.Kit.MakeLiveISO(t.Context(), roots, common, t.TempDir())
		r.must(err)
		r.must(r.site.Import(t.Context(), iso, "debian"))
		r.release = common.Release
	})
	dhcp := r.serveWith(dhcpRange)
	nodes := r.threeNodes(lab.BIOS)
	r.choose(nodes[0])
	first := r.running(nodes[0])
	dhcp.Stop()
	_, err := lab.DnsmasqDHCP(t.Context(), r.router, "10.77.3.10,10.77.3.200")
	r.must(err)
	r.must(nodes[0].SetLink(t.Context(), 0, false))
	first.awaitStatus(`"state": "waiting"`)
	r.must(nodes[0].SetLink(t.Context(), 0, true))
	first.awaitStatus(`"address": "10.77.3.`)

	r.seederOff()
	r.choose(nodes[1:]...)
	shells := append(r.runningAll(nodes[1:]), first)
	r.seederOn()
	r.awaitGiving(nodes[1:])
	r.powerOff(shells)
}

// Its kernel for clouds is another than phase 1's: nodes start it with kexec, and fetch the images under it. One of them has UEFI. The
// seeder is switched off while the second, the last to be started, is on its way from one kernel to the other.
func TestDebianWithKernelOfItsOwn(t *testing.T) {
	r := newDebianRoom(t, func(r *debianRoom, roots *kit.Roots, _, cloud kit.Kernel) {
		r.must(r.site.Import(t.Context(), roots.Debian, "debian", "--kernel", cloud.Vmlinuz, "--modules", cloud.Modules))
		r.release = cloud.Release
	})
	r.serveWith(dhcpRange)
	nodes := r.threeNodes(lab.UEFI)
	second, atOnce := nodes[1], []*lab.Node{nodes[0], nodes[2]}
	r.choose(nodes[2])
	r.began[nodes[0]] = time.Now()
	r.order(`taken: starting `, "choose", nodes[0].Config.NICs[0].MAC, "debian") // under its kernel the same boot goes on, and its orders
	shells := r.runningAll(atOnce)
	r.choose(second)
	lab.Await(t, second.Console(), toSystem, `goes on under the kernel of`)
	r.seederOff()
	shells = append(shells, r.running(second))
	r.seederOn()
	r.awaitGiving([]*lab.Node{second})
	r.powerOff(shells)
}

func newDebianRoom(t *testing.T, add func(r *debianRoom, roots *kit.Roots, common, cloud kit.Kernel)) *debianRoom {
	t.Helper()
	r := &debianRoom{room: newRoom(t, "timeout: -1\nseed_time: 0\ngroups: [{name: debians, match: {mac: [\"52:54:00:*\"]}, hostname: \"deb-{{.Last}}\"}]\n"), began: map[*lab.Node]time.Time{}}
	made, common, cloud := roots(t)
	r.matchKernel(common)
	add(r, made, common, cloud)
	r.addFiles()
	return r
}

// addFiles adds files for all machines, and for the group of these.
func (r *debianRoom) addFiles() {
	r.t.Helper()
	r.must(r.site.AddFiles("all", map[string]string{"etc/for-machines": "all\n", "lib/for-machines": "all\n", "usr/local/bin/suid": "#!/bin/sh\n"}))
	r.must(r.site.AddFiles("debians", map[string]string{"etc/for-machines.tmpl": "group {{.MAC}}\n"}))
	suid := r.site.Path(site.FilesDir, "all", "usr/local/bin/suid")
	r.must(os.Chown(suid, 1234, 4321))
	r.must(os.Chmod(suid, 0o755|os.ModeSetuid))
}

// serveWith starts a DHCP server with a range, and the seeder.
func (r *debianRoom) serveWith(addresses string) *lab.Process {
	r.t.Helper()
	dhcp, err := lab.DnsmasqDHCP(r.t.Context(), r.router, addresses)
	r.must(err)
	r.serve()
	return dhcp
}

// threeNodes switches three machines on and waits until all are at the chooser. The last one has this firmware, the others BIOS.
func (r *debianRoom) threeNodes(last lab.Firmware) (nodes []*lab.Node) {
	r.t.Helper()
	for i := range 3 {
		c := lab.NodeConfig{Name: fmt.Sprintf("n%d", i+1)}
		if i == 2 {
			c.Firmware = last
		}
		nodes = append(nodes, r.node(c))
	}
	for _, n := range nodes {
		lab.AwaitScreen(r.t, n.Console(), toChooser, `(?is)Choose a system.*debian`)
	}
	return nodes
}

// choose chooses the system at nodes.
func (r *debianRoom) choose(nodes ...*lab.Node) {
	r.t.Helper()
	for _, n := range nodes {
		r.began[n] = time.Now()
		r.must(n.Console().Send(lab.Enter))
	}
}

// running waits until the system runs, and well, and returns a shell of it.
func (r *debianRoom) running(n *lab.Node) shell {
	r.t.Helper()
	lab.Await(r.t, n.Console(), toSystem, `BootTorrent hands over to`)
	over := time.Since(r.began[n])
	lab.Await(r.t, n.Console(), toSystem, `deb-[0-9a-f]{6} login: `)
	r.t.Logf("%s: from Enter to switch_root %.1f s, to the login %.1f s; the seeder's cable carried %.1f MiB from it so far",
		n.Config.Name, over.Seconds(), time.Since(r.began[n]).Seconds(), float64(r.sent())/(1<<20))
	s := login(r.t, n)
	s.awaitStatus(`"state": "giving"`) // what stays has idle priority, and may come to it after the login
	s.says(debianSays)
	s.says(map[string]string{"uname -r": `^` + r.release + `$`})
	r.memory(s)
	return s
}

// runningAll is running for several nodes that start at once.
func (r *debianRoom) runningAll(nodes []*lab.Node) []shell {
	r.t.Helper()
	shells := make([]shell, len(nodes))
	together(r.t, nodes, func(n *lab.Node) { shells[slices.Index(nodes, n)] = r.running(n) })
	return shells
}

// seederOff switches the seeder's machine off: nobody answers, not even that nobody is there.
func (r *debianRoom) seederOff() {
	r.t.Helper()
	r.must(r.host.SetLink(r.t.Context(), false))
	r.seeder.Stop()
}

func (r *debianRoom) seederOn() {
	r.t.Helper()
	r.must(r.host.SetLink(r.t.Context(), true))
	r.serve()
}

// awaitGiving waits until the seeder knows that all three nodes give away, and checks that these got nothing from it.
func (r *debianRoom) awaitGiving(without []*lab.Node) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), toMessage)
	defer cancel()
	giving := func(reports map[string]report.Node) (n int) {
		for _, node := range reports {
			if node.Step == report.Give && node.State == report.Running {
				n++
			}
		}
		return n
	}
	reports := r.reports()
	for tick := time.NewTicker(time.Second); giving(reports) < 3; reports = r.reports() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("the seeder does not know that all give away: %+v", reports)
		case <-tick.C:
		}
	}
	cat, err := r.seeder.Catalog(r.t.Context())
	r.must(err)
	for _, n := range without {
		node := reports[n.Config.NICs[0].MAC]
		r.t.Logf("%s: from the seeder %d, from nodes %d bytes; seconds by step %v", n.Config.Name, node.FromSeeder+node.FromHTTP, node.FromNodes, node.Durations)
		if node.FromSeeder+node.FromHTTP > 0 || node.FromNodes < cat.Systems[0].Size {
			r.t.Errorf("%s: of %d bytes it has %d from the seeder, which was off, and %d from the other nodes",
				n.Config.Name, cat.Systems[0].Size, node.FromSeeder+node.FromHTTP, node.FromNodes)
		}
	}
}

// memory logs what of the machine's memory is used, and checks what the process that stays takes beside the images.
func (r *debianRoom) memory(s shell) {
	r.t.Helper()
	const most = 40 << 20
	var st stay.Status
	r.must(json.Unmarshal([]byte(s.run("cat /run/boottorrent/status.json")), &st))
	words := strings.Fields(s.run(fmt.Sprintf("awk '/^RssAnon:|^VmRSS:/{print $2}' /proc/%d/status; ps -o cputimes= -p %[1]d; awk '/^MemTotal:|^MemAvailable:/{print $2}' /proc/meminfo; cut -d' ' -f1 /proc/uptime", st.PID)))
	if len(words) != 6 {
		r.t.Fatalf("%s says %q of its memory", s.n.Config.Name, words)
	}
	kib := make([]int64, len(words))
	for i, w := range words[:5] {
		var err error
		kib[i], err = strconv.ParseInt(w, 10, 64)
		r.must(err)
	}
	_, peak, err := s.n.MemoryUse()
	r.must(err)
	r.t.Logf("%s: of %d MiB memory %d MiB are used, the machine touched %d MiB at most; the process that stays: %.1f MiB, of which %.1f its own, %d s of %s s processor; given %d bytes",
		s.n.Config.Name, kib[3]>>10, (kib[3]-kib[4])>>10, peak>>20, float64(kib[0])/1024, float64(kib[1])/1024, kib[2], words[5], st.Given)
	if kib[0]<<10 > most {
		r.t.Errorf("%s: the process that stays takes %d KiB, want at most %d", s.n.Config.Name, kib[0], most>>10)
	}
}

// powerOff switches the nodes off as a system's own administrator does, the first one by an order of the seeder's. Units have 90 s to end
// (DefaultTimeoutStopSec, systemd-system.conf(5)): what takes less was not waited for.
func (r *debianRoom) powerOff(shells []shell) {
	r.t.Helper()
	for _, s := range shells {
		r.t.Logf("%s: %s", s.n.Config.Name, strings.Join(strings.Fields(s.run("cat /run/boottorrent/status.json")), " "))
		r.memory(s)
	}
	r.order(`taken: its systemd switches off the machine, by SIGRTMIN\+4`, "poweroff", shells[0].n.Config.NICs[0].MAC)
	ctx, cancel := context.WithTimeout(r.t.Context(), toMessage)
	defer cancel()
	began := time.Now()
	for _, s := range shells[1:] {
		s.send("systemctl poweroff")
	}
	for _, s := range shells {
		reason, err := s.n.AwaitOff(ctx)
		r.must(err)
		took := time.Since(began)
		r.t.Logf("%s: off after %.1f s (%s)", s.n.Config.Name, took.Seconds(), reason)
		if said := s.n.Console().Output(); strings.Contains(said, "Waiting for process") || took > 80*time.Second {
			r.t.Errorf("%s: to switch off took %s; its console ends with:\n%s", s.n.Config.Name, took, s.n.Console().Tail(30))
		}
	}
}

// sent is how many bytes the seeder's host has sent.
func (r *debianRoom) sent() int64 {
	r.t.Helper()
	var links []struct {
		Stats struct{ TX struct{ Bytes int64 } } `json:"stats64"`
	}
	r.must(json.Unmarshal([]byte(r.run("ip", "-j", "-s", "link", "show", "dev", "eth0")), &links))
	return links[0].Stats.TX.Bytes
}
