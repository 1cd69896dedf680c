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
	r := newRoom(t, "")
	ssh := r.withSSH("default: big\ntimeout: 0\n")
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
	ssh.says(node.IP, nodeSays)
	if out := r.run("ssh-keygen", "-l", "-f", ssh.known); node.HostKey == "" || !strings.Contains(out, node.HostKey) {
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

// ssh is what somebody needs who logs in to nodes from the seeder's host.
type ssh struct {
	r *room
	// key is the file of the secret key, known that of the nodes' host keys.
	key, known string
}

// withSSH configures the site with a key that may log in to its nodes. It needs a new image then, of which only the site's part is new.
func (r *room) withSSH(config string) *ssh {
	r.t.Helper()
	need.Command(r.t, "ssh", "openssh-client")
	keygen := need.Command(r.t, "ssh-keygen", "openssh-client")
	dir := r.t.TempDir()
	s := &ssh{r, filepath.Join(dir, "id"), filepath.Join(dir, "known")}
	r.run(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "ann@desk", "-f", s.key)
	public, err := os.ReadFile(s.key + ".pub")
	r.must(err)
	r.must(r.site.Configure("version: 1\nname: room\n" + config + "node:\n  ssh_keys:\n    - " + string(public)))
	return s
}

// says has a node's shell run commands, and compares what they say with patterns.
func (s *ssh) says(ip string, want map[string]string) {
	s.r.t.Helper()
	for command, pattern := range want {
		out := s.r.run("ssh", "-F", "none", "-i", s.key, "-o", "UserKnownHostsFile="+s.known, "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
			"root@"+ip, command)
		if !regexp.MustCompile(pattern).MatchString(out) {
			s.r.t.Errorf("%s: the node says %q, want %q", command, out, pattern)
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
