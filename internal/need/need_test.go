package need

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that is told to end.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) { r.end("skipped: "+format, args) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed: "+format, args) }

// end keeps the first: a real test would be over.
func (r *recorder) end(format string, args []any) {
	r.ended = cmp.Or(r.ended, fmt.Sprintf(format, args...))
}

// What the host's kernel can't, and is tested inside a node, is no failure anywhere; what is tested nowhere else is one under CI=true.
func TestKernelThatCannot(t *testing.T) {
	for _, tt := range []struct {
		ci, room, command, want string
	}{
		{"true", "TestX", "false", "skipped: this host's kernel makes no tea: exit status 1 ; TestX of integration does it inside a node"},
		{"", "TestX", "false", "skipped: this host's kernel makes no tea: exit status 1 ; TestX"},
		{"true", "", "false", "failed: this host's kernel makes no tea: exit status 1"},
		{"", "", "false", "skipped: this host's kernel makes no tea"},
		{"true", "TestX", "true", ""},
	} {
		t.Setenv("CI", tt.ci)
		r := &recorder{TB: t}
		kernel(r, "makes no tea", tt.room, exec.Command(tt.command))
		if !strings.HasPrefix(r.ended, tt.want) || (tt.want == "") != (r.ended == "") {
			t.Errorf("%+v: %q", tt, r.ended)
		}
	}
}

// A kernel that knows no such format says so for a probe, as for any program (execve(2), ENOEXEC).
func TestProgramOfNoFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	image := program32()
	image[18] = 0xf0 // the machine: none that there is
	if err := os.WriteFile(path, image, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	kernel(r, "runs it not", "TestX", exec.Command(path))
	if !strings.Contains(r.ended, "skipped: ") || !strings.Contains(r.ended, "exec format error") {
		t.Errorf("%q", r.ended)
	}
}
