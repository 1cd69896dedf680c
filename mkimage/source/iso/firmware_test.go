package iso

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/mkimage/source"
)

// The firmware that a network card's driver asks for comes from the root file system, and what that lacks from this machine.
func TestFirmware(t *testing.T) {
	const driver = "usr/lib/modules/" + release + "/kernel/drivers/net/ethernet/realtek/r8169.ko"
	iso := files{"live/filesystem.squashfs": root(release, release).with(files{
		driver: module("name=r8169", "vermagic="+release+" SMP", "firmware=rtl_nic/both.fw", "firmware=rtl_nic/machine.fw", "firmware=../../etc/passwd", "firmware=rtl_nic/neither.fw"),
		"usr/lib/modules/" + release + "/modules.dep": []byte("kernel/drivers/net/ethernet/realtek/r8169.ko:\n"),
		"lib/firmware/rtl_nic/both.fw":                []byte("of the root"), "lib/firmware/other.fw": []byte("of nobody"),
	}).squashfs(t)}.iso(t)
	machine := t.TempDir()
	for name, content := range map[string]string{"both.fw": "of this machine", "machine.fw": "this machine's"} {
		path := filepath.Join(machine, "rtl_nic", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, r, err := run(t, iso, func(o *source.Options) { o.Firmware = machine })
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(r.Systems[0].Path(source.ModulesFile))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(packed, []byte("\xfd7zXZ\x00"))
	if at < 0 {
		t.Fatal("nothing is compressed")
	}
	stream, err := xz.ReaderConfig{SingleStream: true}.NewReader(bytes.NewReader(packed[at:]))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"r8169.ko": true, "lib/firmware/rtl_nic/both.fw": true, "of the root": true, "of this machine": false, "this machine's": true,
		"neither.fw\x00": false, "of nobody": false, "root:x:": false,
	} {
		found := strings.Contains(string(content), text)
		if text == "neither.fw\x00" { // the driver itself names it
			found = strings.Contains(string(content), "lib/firmware/rtl_nic/"+text)
		}
		if found != want {
			t.Errorf("%q in the archive: %v, want %v", text, found, want)
		}
	}
}
