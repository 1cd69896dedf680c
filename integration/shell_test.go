package integration

import (
	"regexp"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
)

// shell is a shell of a running system at the end of a node's serial line.
type shell struct {
	t *testing.T
	n *lab.Node
}

// login logs in at the login prompt of the root Debian.
func login(t *testing.T, n *lab.Node) shell {
	t.Helper()
	s := shell{t: t, n: n}
	s.send("root")
	lab.Await(t, n.Console(), toMessage, `Password: `)
	s.send("root")
	lab.Await(t, n.Console(), toMessage, `# `)
	s.plain()
	return s
}

// plain makes the shell one without echo, editing and prompts, on a line without the kernel's messages.
func (s shell) plain() {
	s.t.Helper()
	s.send("exec sh")
	lab.Await(s.t, s.n.Console(), toMessage, `# `) // what is typed before is lost
	s.send("stty -echo; dmesg -n 1; PS1=; echo rea''dy")
	lab.Await(s.t, s.n.Console(), toMessage, `ready\n`)
}

// run runs a command and returns what it says; one that fails fails the test.
func (s shell) run(command string) string {
	s.t.Helper()
	s.send("{ " + command + "; } 2>&1; echo \"<<$?>>\"")
	match := lab.Await(s.t, s.n.Console(), toMessage, `(?s)(.*?)<<(\d+)>>\n`)
	out := strings.TrimSpace(match[1])
	if match[2] != "0" {
		s.t.Errorf("%s: %q ends with exit code %s: %s", s.n.Config.Name, command, match[2], out)
	}
	return out
}

// says runs commands and compares what they say with patterns.
func (s shell) says(want map[string]string) {
	s.t.Helper()
	for command, pattern := range want {
		if out := s.run(command); !regexp.MustCompile(pattern).MatchString(out) {
			s.t.Errorf("%s: %s says %q, want %q", s.n.Config.Name, command, out, pattern)
		}
	}
}

// awaitStatus waits until the process that stays says so in its status. As that runs only when nobody else wants to, it may take a while.
func (s shell) awaitStatus(pattern string) {
	s.t.Helper()
	s.send("until grep -q '" + pattern + "' /run/boottorrent/status.json; do sleep 1; done 2>/dev/null; echo see''n")
	lab.Await(s.t, s.n.Console(), toMessage, `seen\n`)
}

func (s shell) send(line string) {
	s.t.Helper()
	if err := s.n.Console().Send(line + lab.Enter); err != nil {
		s.t.Fatal(err)
	}
}
