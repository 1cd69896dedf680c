package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// nodeSays are commands for a node's shell in phase 1, and what they answer: a pattern. It is the place for what has to be true of a
// real node and needs no boot of its own.
var nodeSays = map[string]string{
	"uname -a": `Linux node 6\.`,
	"ls /bbin": `netup`,
	// What tests of packages can't have of every host's kernel.
	"ip link": `eth0\.12`,
	"cat /sys/devices/system/clocksource/*/available_clocksource": `\S`,
}

// A machine with 512 MiB of memory is offered a system that can't fit: refused before a byte is downloaded, with the sum. Its
// switch's port is a tagged one, which the kernel command line tells. Somebody at the seeder reads its log, logs in by ssh, and looks
// around.
func TestHelpFromAfar(t *testing.T) {
	need.Command(t, "ssh", "openssh-client")
	keygen := need.Command(t, "ssh-keygen", "openssh-client")
	r := newRoom(t, "")
	dir := t.TempDir()
	key, known := filepath.Join(dir, "id"), filepath.Join(dir, "known")
	r.run(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "ann@desk", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	r.must(err)
	r.must(r.site.Configure("version: 1\nname: room\ndefault: big\ntimeout: 0\nnode:\n  ssh_keys:\n    - " + string(public)))
	r.must(r.site.AddTiny(t.Context(), "big", 600<<20))
	r.must(r.site.MakeImage(t.Context())) // only the site's part is new
	r.dhcp()
	r.serve()
	c := r.direct("small", r.seederArg(), "vlan=12")
	c.MemoryMiB = 512
	c.NICs = []lab.NIC{{Cable: lab.Cable{VLAN: 12}}}
	n := r.node(c)
	lab.AwaitScreen(t, n.Console(), toChooser, wrapped("too little memory.* MiB"))

	node := r.reports()[n.Config.NICs[0].MAC]
	if node.FromSeeder+node.FromNodes+node.FromHTTP > 0 {
		t.Errorf("it downloaded before it refused: %+v", node)
	}
	ssh := []string{"ssh", "-F", "none", "-i", key, "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
		"root@" + node.IP}
	for command, want := range nodeSays {
		if out := r.run(append(ssh, command)...); !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s: the node says %q, want %q", command, out, want)
		}
	}
	if out := r.run(keygen, "-l", "-f", known); node.HostKey == "" || !strings.Contains(out, node.HostKey) {
		t.Errorf("the report has the host key %q, ssh saw %q", node.HostKey, out)
	}
	for name, want := range map[string]string{
		"the kernel's beginning": "Linux version 6.", "the node's own lines": "boottorrent: this machine:", "the reason": "does not fit into memory",
	} {
		if out := r.run(r.site.Kit.Seeder, "logs", r.site.Dir, node.IP, "--no-follow"); !strings.Contains(out, want) {
			t.Errorf("the log at the seeder lacks %s; it ends with:\n%s", name, out[max(0, len(out)-2000):])
		}
	}
}

// run runs a program on the seeder's host and returns what it says.
func (r *room) run(args ...string) string {
	r.t.Helper()
	out, err := r.host.Command(r.t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		r.t.Errorf("%v: %v", args, err)
	}
	return string(out)
}
