package integration

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// demoShare is how much of what the nodes of the demonstration receive comes from other nodes at least, in percent. With three of
// them it can't be more than two thirds.
const demoShare = 60

// The demonstration of the README, as it is where there is no terminal: it boots its room, and its table says that the nodes
// got most of the system from each other and that they were quicker than the seeder alone could have been. No other room boots
// meanwhile: the seeder's link is to be what limits this one, and not the processors.
func TestDemonstration(t *testing.T) {
	const deadline = 8 * time.Minute
	r := newRoomAlone(t, "")
	need.File(t, "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux", "debian-installer-12-netboot-amd64")
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./demo").CombinedOutput(); err != nil {
		t.Fatalf("go build ./demo: %v\n%s", err, out)
	}
	// The demonstration finds a site with an image, as from an earlier one.
	out, err := exec.CommandContext(t.Context(), program, "--plain", "--site", r.site.Dir, "--deadline", deadline.String()).CombinedOutput()
	text := string(out)
	t.Log(text)
	if err != nil {
		t.Fatal(err)
	}
	number := func(pattern string) float64 {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the table has no %q", pattern)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if share := number(`tiny: the nodes received [0-9.]+ MiB, ([0-9]+) % of it from each other`); share < demoShare {
		t.Errorf("%v %% came from other nodes, want at least %d %%", share, demoShare)
	}
	if n := number(`from the seeder alone ([0-9]+) machines`); n != 3 {
		t.Errorf("%v machines have started the system, want 3", n)
	}
	alone, took := number(`would have needed ([0-9]+) s`), number(`they took ([0-9]+) s`)
	if took <= 0 || took >= alone {
		t.Errorf("the room took %v s, the seeder alone would have taken %v s", took, alone)
	}
}
