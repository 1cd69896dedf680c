package site

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What one of the boot loaders would not hand on to phase 1's kernel is found where it is written, and not when nodes boot.
func TestNodeCmdline(t *testing.T) {
	dir := t.TempDir()
	if err := Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{
		`cmdline: "quiet # x"`:                  ":3:12: node.cmdline: iPXE takes # for the beginning of a comment",
		`cmdline: a || b`:                       ":3:12: node.cmdline: iPXE takes || for the end of its command",
		`cmdline: a=${x}`:                       ":3:12: node.cmdline: iPXE takes a=${x} for one with a setting of its own",
		`cmdline: root=Büro`:                    ":3:12: node.cmdline: 'ü' at byte 6 is not in ASCII",
		`cmdline: it's`:                         ":3:12: node.cmdline: GRUB puts a \\ before",
		`cmdline: 'a="b'`:                       ":3:12: node.cmdline: a double quote is not closed",
		`cmdline: "a\nb"`:                       ":3:12: node.cmdline has a line break in it",
		`cmdline: a -- b`:                       ":3:12: node.cmdline: what follows -- is not for the kernel",
		`consoles: ["tty0", "ttyS0,${x}"]`:      ":3:22: node.consoles: iPXE takes ttyS0,${x} for one",
		`cmdline: quiet x=y nomodeset`:          "",
		`cmdline: ` + strings.Repeat("a", 1800): ":3:12: node.cmdline: the kernel takes a command line of 2047 bytes",
	} {
		config := fmt.Sprintf("version: 1\nnode:\n  %s\n", node)
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		s, problems := Load(dir)
		got := lines(problems)
		if want == "" && (s == nil || got != "") || !strings.Contains(got, want) {
			t.Errorf("%.60s: %s, want %s", node, got, want)
		}
	}
}
