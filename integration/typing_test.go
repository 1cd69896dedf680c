package integration

import (
	"regexp"
	"strings"

	"github.com/boottorrent/boottorrent/integration/lab"
)

// typedAtOnce is how many keys are typed before they must be seen: a PC's BIOS, from which boot loaders take keys of the serial line too,
// keeps 15 that nobody has read, and drops the others.
const typedAtOnce = 8

// enter types a line at a boot loader's prompt, no faster than it reads, and Enter.
func (r *room) enter(c *lab.Console, line string) {
	r.t.Helper()
	for at := 0; at < len(line); at += typedAtOnce {
		end := min(at+typedAtOnce, len(line))
		r.must(c.Send(line[at:end]))
		lab.AwaitScreen(r.t, c, toMessage, regexp.QuoteMeta(strings.TrimRight(line[:end], " ")))
	}
	r.must(c.Send(lab.Enter))
}
