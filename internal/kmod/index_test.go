package kmod

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// kmod itself finds in the indexes what there is, by name, by alias with wildcards, and with dependencies.
func TestWriteIndexes(t *testing.T) {
	modprobe := need.Command(t, "modprobe", "kmod")
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/6.1.0-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"modules.dep": "kernel/drivers/net/e1000e.ko: kernel/drivers/ptp/ptp.ko kernel/lib/pps-core.ko\nkernel/drivers/net/e1000.ko:\n" +
			"kernel/drivers/ptp/ptp.ko: kernel/lib/pps-core.ko\nkernel/lib/pps-core.ko:\nkernel/e.ko:\n",
		"modules.alias": "# Aliases extracted from modules themselves.\nalias pci:v00008086d0000105Esv*sd*bc*sc*i* e1000e\n" +
			"alias pci:v00008086d0000100[0-9]sv*sd*bc*sc*i* e1000\nalias fs-e e\n",
		"modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/drivers/tty/serial/8250/8250.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, module := range []string{"drivers/net/e1000e", "drivers/net/e1000", "drivers/ptp/ptp", "lib/pps-core", "e"} {
		path := filepath.Join(dir, "kernel", module+".ko")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteIndexes(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"e1000e":   "pps-core.ko ptp.ko e1000e.ko",
		"e1000":    "e1000.ko",
		"e":        "e.ko",
		"fs-e":     "e.ko",
		"pps_core": "pps-core.ko",
		"pci:v00008086d0000105Esv00001028sd0000bc02sc00i00":     "pps-core.ko ptp.ko e1000e.ko",
		"pci:v00008086d00001004sv00008086sd00001004bc02sc00i00": "e1000.ko",
		"ext4":   "builtin ext4",
		"nosuch": "not found",
	} {
		out, err := exec.Command(modprobe, "-d", root, "-S", "6.1.0-test", "--show-depends", name).CombinedOutput()
		var got []string
		for line := range strings.Lines(string(out)) {
			switch f := strings.Fields(line); {
			case len(f) > 1 && f[0] == "insmod":
				got = append(got, filepath.Base(f[1]))
			case len(f) > 1 && f[0] == "builtin":
				got = append(got, f...)
			}
		}
		if err != nil {
			got = []string{"not found"}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q\n%s", name, got, want, out)
		}
	}
}
