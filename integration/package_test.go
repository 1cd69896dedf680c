package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// The package is installed on a Debian that has neither Go nor the source, builds the image, serves under systemd as a user of its own,
// and a machine boots from it. It is upgraded and removed; the site stays.
func TestPackage(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Command(t, "dnsmasq", "dnsmasq-base")
	need.Command(t, "mmdebstrap", "mmdebstrap")
	need.Overlay(t, "installs a package on a Debian")
	dir := t.TempDir()
	deb, err := kit.MakePackage(t.Context(), "..", filepath.Join(dir, "dist"), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	roots, err := kit.MakeRoots(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r := &room{Room: lab.ForTest(t), t: t}
	r.host, err = r.Host("seeder", lab.Addr(seederAddr))
	r.must(err)
	r.router, err = r.Host("router", lab.Addr(routerAddr))
	r.must(err)
	r.dhcp()
	machine, end, err := kit.StartMachine(t.Context(), r.host, roots.Debian, dir)
	r.must(err)
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	run := func(args ...string) string {
		t.Helper()
		out, err := machine.Run(t.Context(), args...)
		r.must(err)
		return out
	}
	packages := filepath.Join(machine.Root, "root")
	_, err = kit.Download(t.Context(), packages, "ipxe", "xz-utils")
	r.must(err)
	r.must(exec.Command("cp", deb, packages).Run())

	// There is no way to the packages' server from the room: mkimage finds Debian's kernel as if it had fetched it before.
	r.must(kit.CopyKernel(t.Context(), packages))

	began := time.Now()
	said := run("sh", "-c", "dpkg -i /root/*.deb")
	if !strings.Contains(said, "A site is made in /srv/boottorrent") {
		t.Errorf("dpkg says: %s", said)
	}
	r.site = &kit.Site{Dir: filepath.Join(machine.Root, "srv/boottorrent")}
	if _, err := machine.Run(t.Context(), "which", "go"); err == nil {
		t.Fatal("Go is in the Debian")
	}
	run("boottorrent", "mkimage", "/srv/boottorrent")
	imaged := time.Since(began)
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	run("systemctl", "enable", "--now", "boottorrent@default")
	serving := time.Since(began)
	r.seeder = kit.Served(r.host)
	n := r.node(lab.NodeConfig{Name: "n1", MemoryMiB: 1024})
	lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
	r.must(n.Console().Send(lab.Enter))
	r.awaitTiny(n, toSystem)
	t.Logf("seconds from dpkg -i: %.1f the image is made, %.1f the site is served, %.1f the first machine runs its system (emulated)",
		imaged.Seconds(), serving.Seconds(), time.Since(began).Seconds())
	if len(r.reports()) != 1 {
		t.Errorf("the seeder knows %d machines", len(r.reports()))
	}

	if got := run("systemctl", "show", "--property=ActiveState,StatusText,Result", "boottorrent@default"); !strings.Contains(got, "ActiveState=active") ||
		!strings.Contains(got, `StatusText=serves the site "boottorrent-server": 1 system`) {
		t.Errorf("the unit: %s", got)
	}
	pid := func() string {
		return strings.TrimSpace(run("systemctl", "show", "--property=MainPID", "--value", "boottorrent@default"))
	}
	first := pid()
	if got := run("ps", "-o", "user=", "-p", first); strings.TrimSpace(got) != "boottor+" && strings.TrimSpace(got) != "boottorrent" {
		t.Errorf("the seeder runs as %q", got)
	}
	if got, _ := machine.Run(t.Context(), "boottorrent", "check", "/srv/boottorrent"); strings.Contains(got, "problem") || !strings.Contains(got, "is running") {
		t.Errorf("check by root says %s", got)
	}
	if got := run("boottorrent", "publish", "/srv/boottorrent", "tiny"); !strings.Contains(got, "tiny is published") {
		t.Errorf("publish by root says %q", got)
	}
	key, err := os.ReadFile(r.site.Path("boottorrent.key"))
	r.must(err)

	run("sh", "-c", "dpkg -i /root/boottorrent_*.deb")
	if second := pid(); second == first || second == "0" {
		t.Errorf("after the upgrade the unit's process is %s, before it was %s", second, first)
	}
	run("dpkg", "-r", "boottorrent")
	if _, err := machine.Run(t.Context(), "pgrep", "boottorrent"); err == nil {
		t.Error("the seeder goes on after removal")
	}
	if got := run("dpkg", "-P", "boottorrent"); !strings.Contains(got, "/srv/boottorrent stays") {
		t.Errorf("purge says %q", got)
	}
	if after, err := os.ReadFile(r.site.Path("boottorrent.key")); err != nil || string(after) != string(key) {
		t.Errorf("the site's key after all that: %v", err)
	}
}

// The unit gives the seeder what it needs, and no more: systemd's own measure of that, of which 0 is nothing at all and 10 everything.
func TestUnitIsConfined(t *testing.T) {
	tool := need.Command(t, "systemd-analyze", "systemd")
	unit := filepath.Join(t.TempDir(), "boottorrent@.service")
	text, err := os.ReadFile("../packaging/boottorrent@.service")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, text, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "security", "--offline=yes", "--no-pager", unit).CombinedOutput()
	match := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if match == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if level, err := strconv.ParseFloat(string(match[1]), 64); err != nil || level > 2.5 {
		t.Errorf("the unit's exposure is %s, more than 2.5:\n%s", match[1], out)
	}
}
