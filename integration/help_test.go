package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// A node that could not start its system: somebody at the seeder reads its log, logs in by ssh, and looks around.
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
	c := r.direct("small", r.seederArg())
	c.MemoryMiB = 512
	n := r.node(c)
	lab.AwaitScreen(t, n.Console(), toChooser, wrapped("too little memory.* MiB"))

	node := r.reports()[n.Config.NICs[0].MAC]
	ssh := []string{"ssh", "-F", "none", "-i", key, "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
		"root@" + node.IP}
	if out := r.run(append(ssh, "uname -a; ls /bbin")...); !strings.Contains(out, "Linux node 6.") || !strings.Contains(out, "netup") {
		t.Errorf("ssh says %q", out)
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
