package phase1

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// TestIndex compares the index of the modules with what depmod finds in them: the same aliases, and for each module at
// least what depmod says it needs.
func TestIndex(t *testing.T) {
	cpio, depmod := need.Command(t, "cpio", "cpio"), need.Command(t, "depmod", "kmod")
	m, dir := build(t)
	root := t.TempDir()
	extract := exec.Command(cpio, "-idm", "--quiet")
	extract.Dir, extract.Stdin = root, bytes.NewReader(unpack(t, m, dir)[image.ModulesPart])
	if out, err := extract.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	tree := filepath.Join(root, "lib/modules", m.Kernel.Release)
	ourDep, ourAlias := dependencies(t, tree), aliases(t, tree)
	if out, err := exec.Command(depmod, "-b", root, m.Kernel.Release).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v: %s", err, out)
	}
	theirDep, theirAlias := dependencies(t, tree), aliases(t, tree)

	if !slices.Equal(ourAlias, theirAlias) {
		t.Errorf("%d aliases, depmod finds %d", len(ourAlias), len(theirAlias))
	}
	if len(ourDep) != len(theirDep) {
		t.Errorf("%d modules, depmod finds %d", len(ourDep), len(theirDep))
	}
	for module, needs := range theirDep {
		for _, n := range needs {
			if !slices.Contains(ourDep[module], n) {
				t.Errorf("%s needs %s, which modules.dep does not say", module, n)
			}
		}
	}
}

// dependencies reads modules.dep.
func dependencies(t *testing.T, dir string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, line := range lines(t, filepath.Join(dir, "modules.dep")) {
		module, needs, _ := strings.Cut(line, ":")
		found[module] = strings.Fields(needs)
	}
	return found
}

// aliases reads modules.alias, sorted.
func aliases(t *testing.T, dir string) []string {
	t.Helper()
	all := lines(t, filepath.Join(dir, "modules.alias"))
	slices.Sort(all)
	return all
}

// lines returns a file's lines without comments.
func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(b), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
}
