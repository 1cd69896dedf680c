package integration

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// secondConsole goes from a guest on the screen to the shell on the second console and back, to the same picture. Meanwhile it asks there
// what the node's programs take of its memory.
func (r *room) secondConsole(n, plain *lab.Node) {
	r.t.Helper()
	guest := r.screen(n)
	r.must(n.SendKeys(r.t.Context(), "ctrl-alt-f2"))
	r.awaitChange(n, guest)
	r.must(n.SendKeys(r.t.Context(), "ret"))
	r.must(n.SendKeys(r.t.Context(), typed("grep 'Name|VmRSS|RssAnon|MemAv' /proc/*/status /proc/meminfo >/dev/ttyS0; echo ask''ed >/dev/ttyS0\n")...))
	told := lab.Await(r.t, n.Console(), toMessage, `(?s)/proc/\d+/status:.*asked`)[0]
	r.reportMemory(told)
	r.must(n.SavePNG(r.t.Context(), r.t.ArtifactDir()+"/second.png"))
	r.must(n.SendKeys(r.t.Context(), "alt-f1"))
	r.awaitSame(n, plain)
}

// keyOf are the names of keys, as lab.Node's SendKeys has them, of characters that are not letters, digits or in lower case.
var keyOf = map[rune]string{' ': "spc", '\n': "ret", '/': "slash", '>': "shift-dot", '*': "shift-8", '\'': "apostrophe",
	'|': "shift-backslash", ';': "semicolon"}

// typed are the keys of a text on a keyboard of the United States, the kernel's own map.
func typed(text string) (keys []string) {
	for _, c := range text {
		switch name := keyOf[c]; {
		case name != "":
			keys = append(keys, name)
		case c >= 'A' && c <= 'Z':
			keys = append(keys, "shift-"+strings.ToLower(string(c)))
		default:
			keys = append(keys, string(c))
		}
	}
	return keys
}

// resident are a program's name, memory, and what of that is no file's (proc(5), /proc/PID/status), in kibibytes; what the kernel runs has
// none.
var resident = regexp.MustCompile(`status:Name:\s+(\S+)\n[^\n]*:VmRSS:\s+(\d+) kB\n[^\n]*:RssAnon:\s+(\d+) kB`)

// loader is the name of the program that is QEMU: it runs by its own dynamic linker.
var loader = path.Base(qemuruntime.Loader)

// reportMemory checks that the node's own programs fit into the memory that is kept from a guest. Their files are there anyway, and one for
// all.
func (r *room) reportMemory(told string) {
	r.t.Helper()
	var names []string
	own, qemu := int64(0), false
	for _, m := range resident.FindAllStringSubmatch(told, -1) {
		all, err := strconv.ParseInt(m[2], 10, 64)
		r.must(err)
		anonymous, err := strconv.ParseInt(m[3], 10, 64)
		r.must(err)
		names = append(names, fmt.Sprintf("%s %.1f MiB (%.1f without files)", m[1], float64(all)/1024, float64(anonymous)/1024))
		if m[1] == loader {
			qemu = true
			continue
		}
		own += anonymous << 10
	}
	r.t.Logf("resident: %s; the node's own without files: %.1f MiB of %d that are kept for it; %s", strings.Join(names, ", "),
		float64(own)/(1<<20), launch.Reserve>>20, regexp.MustCompile(`MemAv.*`).FindString(told))
	if !qemu || own == 0 || own > launch.Reserve {
		r.t.Errorf("of %d bytes that are kept for it the node takes %d; QEMU is there: %v", int64(launch.Reserve), own, qemu)
	}
}

func TestTyped(t *testing.T) {
	if got := strings.Join(typed("ls A*|x >/y\n"), " "); got != "l s spc shift-a shift-8 shift-backslash x spc shift-dot slash y ret" {
		t.Error(got)
	}
}
