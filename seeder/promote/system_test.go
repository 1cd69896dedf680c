package promote

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// What is written of a system is read as what the catalog said.
func TestSystem(t *testing.T) {
	for what, config := range map[string]string{
		"arguments with quotes": `{dispname: "yes", method: qemu, display: vnc, args: ["-cdrom", "disc one.iso", "-append", "a 'b' \"c\" # d: {{.MAC}}", "-smbios", "type=1,serial=007"], after: reboot}`,
		"a guest of arm64":      `{dispname: "0x10", description: "- a\n- b\n\n  c", method: qemu, guest: arm64, args: "-cdrom 'disc one.iso'"}`,
		"a program":             `{dispname: "null", method: bin, hidden: true, bin: run.sh, binargs: "'' ~ 1.0 'a  b' \"c\"", after: other}`,
	} {
		dir := filepath.Join(t.TempDir(), "guest")
		write := func(name, content string) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		write("disc one.iso", "a disc")
		write("run.sh", "#!/bin/sh\n")
		write(site.SystemFile, config)
		before, problems := site.LoadSystem(dir, false)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		text, err := system(catalog.System{
			Title: before.Title, Description: before.Description, Hidden: before.Hidden, Arch: before.Arch, Launch: before.Launch,
		})
		if err != nil {
			t.Fatal(err)
		}
		write(site.SystemFile, string(text))
		after, problems := site.LoadSystem(dir, false)
		if len(problems) > 0 || !reflect.DeepEqual(before, after) {
			t.Errorf("%s: %v\n%+v\nbecame\n%+v\nby\n%s", what, problems, before, after, text)
		}
	}
}

// Numbers are written so that the same ones are read.
func TestSize(t *testing.T) {
	for _, bytes := range []int64{1 << 20, 65537, 1, 1<<43 - 1, 7_838_315_315, 12_500_000, 64<<10 + 1} {
		if got, ok := site.ParseSize(size(bytes)); !ok || got != bytes {
			t.Errorf("%d is written as %s, which is %d", bytes, size(bytes), got)
		}
	}
}
