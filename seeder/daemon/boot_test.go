package daemon

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/local"
	"github.com/boottorrent/boottorrent/seeder/web"
	"github.com/boottorrent/boottorrent/templates/grub"
)

// bootSite is a daemon with a site that has images of both architectures, and with iPXE and shim installed.
func bootSite(t *testing.T) *daemon {
	t.Helper()
	dir, root := filepath.Join(t.TempDir(), "room"), t.TempDir()
	if err := site.Init(dir, "Room 12's"); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		dir + "/image/vmlinuz": "kernel", dir + "/image/initramfs.img": "initramfs", dir + "/image/boottorrent.efi": "program",
		dir + "/image/arm64/vmlinuz": "arm kernel", dir + "/image/arm64/initramfs.img": "arm initramfs",
		root + "/usr/lib/ipxe/snponly.efi": "ipxe", root + "/usr/lib/shim/shimx64.efi.signed": "shim",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s, problems := site.Load(dir)
	if s == nil {
		t.Fatal(problems)
	}
	d := &daemon{
		Options: Options{Site: s, Log: slog.New(slog.DiscardHandler)}, loaders: loaders.At(dir, root), boot: bootfiles.New(filepath.Join(dir, "image")),
		helpers: helpers.New(helpers.Config{}),
	}
	d.feed = &siteFeed{daemon: d}
	d.current.Store(s)
	d.local = local.New(local.Config{
		Log: d.Log, Now: time.Now, Catalog: func() *catalog.Catalog { return nil }, Has: func(string, netip.Addr) bool { return true },
	})
	return d
}

// A machine that wants its disk is asked who it is, by iPXE as by GRUB, and sent there once.
func TestMachineWantsItsDisk(t *testing.T) {
	d := bootSite(t)
	machine := rules.Facts{MAC: "52:54:00:00:00:01"}
	script := func(r web.ScriptRequest) string {
		r.Host, r.Arch = "10.0.0.1:8080", arch.AMD64
		b, err := d.script(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	grubFile := func(name string) string {
		text, err := d.read(t, name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const asks, sanboot, ofMachine = "chain --replace ${base}/boot/boot.ipxe?mac=", "sanboot", "grub/machine/52-54-00-00-00-01/10.0.0.5/none"
	if strings.Contains(script(web.ScriptRequest{}), asks) || strings.Contains(grubFile("grub/grub.cfg"), grub.MachinePath) {
		t.Error("machines are asked who they are although none wants its disk")
	}
	for range 2 {
		if err := d.local.Wish(machine.MAC, netip.MustParseAddr("10.0.0.5")); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(script(web.ScriptRequest{}), asks) || !strings.Contains(grubFile("grub/grub.cfg"), grub.MachinePath) {
			t.Error("machines are not asked who they are")
		}
		if s := script(web.ScriptRequest{Known: true, Machine: rules.Facts{MAC: "52:54:00:00:00:02"}}); strings.Contains(s, sanboot) || strings.Contains(s, asks) {
			t.Errorf("another machine is sent to its disk, or asked again:\n%s", s)
		}
		if s := script(web.ScriptRequest{Known: true, Machine: machine}); !strings.Contains(s, sanboot) {
			t.Errorf("the machine is not sent to its disk:\n%s", s)
		}
		if s := grubFile(ofMachine); s != "set disk=\n" {
			t.Errorf("it is sent there twice: %q", s)
		}
	}
	if err := d.local.Wish(machine.MAC, netip.MustParseAddr("10.0.0.5")); err != nil {
		t.Fatal(err)
	}
	if s := grubFile(ofMachine); s != "set disk=0\n" {
		t.Errorf("GRUB is told %q, want the disk at once", s)
	}
	if _, err := d.read(t, "grub/machine/nonsense/10.0.0.5/none"); err == nil {
		t.Error("a machine without a MAC address gets an answer")
	}
}

// read is what TFTP sends for a name: a document, or a file.
func (d *daemon) read(t *testing.T, name string) (string, error) {
	t.Helper()
	if content, ok := d.tftpDocument(name, netip.MustParseAddr("10.0.0.1")); ok {
		return string(content), nil
	}
	f, err := d.tftpOpen(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	return string(content), err
}

// What GRUB's script names is served by TFTP for both architectures, until the image is replaced.
func TestGRUBScriptLeadsToImages(t *testing.T) {
	d := bootSite(t)
	script, err := d.read(t, "grub/grub.cfg")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string][]string{}
	for line := range strings.Lines(script) {
		if name, path, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "set ")), "="); ok && strings.HasPrefix(path, "/") {
			named[name] = append(named[name], strings.TrimPrefix(path, "/"))
		}
	}
	for name, want := range map[string][]string{"kernel": {"kernel", "arm kernel"}, "initrd": {"initramfs", "arm initramfs"}} {
		if len(named[name]) != len(want) {
			t.Fatalf("%s: %v, want %d paths in\n%s", name, named[name], len(want), script)
		}
		for i, path := range named[name] {
			if got, err := d.read(t, path); got != want[i] {
				t.Errorf("%s is %q, %v, want %q", path, got, err, want[i])
			}
		}
	}
	for _, want := range []string{"'bt.seeder=http://10.0.0.1:8080'", `'BootTorrent: Room 12'\''s'`, "server=10.0.0.1"} {
		if !strings.Contains(script, want) {
			t.Errorf("no %s in the script", want)
		}
	}
	if err := os.WriteFile(filepath.Join(d.Site.Dir, "image/vmlinuz"), []byte("new kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := d.read(t, named["kernel"][0]); !errors.Is(err, bootfiles.ErrReplaced) {
		t.Errorf("the kernel that was replaced: %q, %v", got, err)
	}
	if again, _ := d.read(t, "grub/grub.cfg"); again == script {
		t.Error("a new script names the kernel that was replaced")
	}
}

// GRUB's own parser takes the script.
func TestScriptIsGRUBs(t *testing.T) {
	need.Command(t, "grub-script-check", "grub-common")
	script, err := bootSite(t).grubConfig(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("grub-script-check")
	check.Stdin = bytes.NewReader(script)
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("grub-script-check: %v: %s", err, said)
	}
}

// TFTP serves images under the names that DHCP tells firmware, and nothing else of the site.
func TestTFTPNames(t *testing.T) {
	d := bootSite(t)
	for name, want := range map[string]string{
		"boottorrent.efi": "program", "boot/vmlinuz": "kernel", "boot/arm64/initramfs.img": "arm initramfs", "arm64/vmlinuz": "arm kernel",
	} {
		if got, err := d.read(t, name); got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"boottorrent.key", "boot/boottorrent.key", "../boottorrent.key", "boot/../boottorrent.key", "boot/0123456789ab/initramfs.img", "arm64/boottorrent.efi", "grub/grub.cfg.sig"} {
		if got, err := d.read(t, name); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, bootfiles.ErrReplaced) {
			t.Errorf("%s: %q, %v, want no such file", name, got, err)
		}
	}
}

// Only a signed iPXE is told of shim; one of 2019 does not know the command.
func TestScriptNamesShim(t *testing.T) {
	d := bootSite(t)
	for agent, want := range map[string]bool{"iPXE/2.0.0": true, "iPXE/2.1.0+": true, "iPXE/1.0.0+git-20190125": false, "iPXE/1.21.1": false, "curl/8": false, "": false} {
		script, err := d.script(web.ScriptRequest{Host: "10.0.0.1:8080", Arch: arch.AMD64, Agent: agent})
		if err != nil || strings.Contains(string(script), "shim ${base}/boot/shimx64.efi") != want {
			t.Errorf("%q: %v, shim is to be named: %v\n%s", agent, err, want, script)
		}
	}
	script, err := d.script(web.ScriptRequest{Host: "10.0.0.1:8080", Arch: arch.ARM64, Agent: "iPXE/2.0.0"})
	if err != nil || !strings.Contains(string(script), d.boot.Path(arch.ARM64, "vmlinuz")) || !strings.Contains(string(script), "/boot/arm64/boot.ipxe") ||
		strings.Contains(string(script), "shim ") {
		t.Errorf("for arm64: %v\n%s", err, script)
	}
}
