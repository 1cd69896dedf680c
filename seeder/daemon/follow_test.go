package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// What is under oss/ while the seeder runs is what it offers; an old version stays to be had for those who are at it, even
// though its file was overwritten in place.
func TestChangesArePickedUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	old := r.catalog().Systems[0]

	writeSystem(t, s.Dir, "two", 'b')
	r.await("two systems", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 })

	writeSystem(t, s.Dir, "one", 'c')
	r.await("a new version", func(c *catalog.Catalog) bool {
		one, ok := c.System("one")
		return ok && one.InfoHash != old.InfoHash
	})
	r.get(catalog.TorrentPath(old.InfoHash))
	sum := sha256.Sum256(r.get(old.FilePath("vmlinuz")))
	files, err := old.OpenFiles(r.get(catalog.FileListPath(old.InfoHash)))
	if err != nil || hex.EncodeToString(sum[:]) != files[0].SHA256 {
		t.Error("the old version is no longer what its catalog said")
	}

	must(t, os.RemoveAll(filepath.Join(s.Dir, site.SystemsDir, "two")))
	r.await("one system", func(c *catalog.Catalog) bool { return len(c.Systems) == 1 })

	// A mistake does not take away what works.
	must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "one", site.SystemFile), []byte("method: kexec\nkernel: gone\n"), 0o644))
	writeSystem(t, s.Dir, "three", 'd')
	must(t, os.Remove(filepath.Join(s.Dir, site.SystemsDir, "one", site.SystemFile)))
	must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "one", site.SystemFile), []byte("dispname: One\nmethod: kexec\nkernel: vmlinuz\n"), 0o644))
	c := r.await("a mended system and a new one", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 })
	if one, _ := c.System("one"); one.Title != "One" {
		t.Errorf("after a mistake was mended: %+v", one)
	}
}

// A changed boottorrent.yaml is picked up: what nodes are told at once, what the seeder's own services do with a warning
// that names it. One with a mistake leaves everything as it is.
func TestConfigurationIsPickedUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	config := filepath.Join(s.Dir, site.ConfigFile)
	before, err := os.ReadFile(config)
	must(t, err)
	write := func(more string) {
		must(t, os.WriteFile(config, append(before[:len(before):len(before)], more...), 0o644))
	}

	write("default: one\ntimeout: 3\nnode: {consoles: [ttyS1]}\n")
	r.awaitLog("catalog published", "default=one")
	if c := r.catalog(); c.Defaults.System != "one" || c.Defaults.Timeout != 3 {
		t.Errorf("defaults %+v", c.Defaults)
	}
	if script := string(r.get(catalog.PathScript)); !strings.Contains(script, " console=ttyS1 ") && !strings.Contains(script, " console=ttyS1\n") {
		t.Errorf("the boot script has no console ttyS1:\n%s", script)
	}

	write("default: nowhere\ntimeout: 4\n")
	r.awaitLog("boottorrent.yaml:6:10", "nowhere")
	r.awaitLog("catalog published")
	if c := r.catalog(); c.Defaults.System != "" || c.Defaults.Timeout != 4 {
		t.Errorf("with a default that isn't there %+v", c.Defaults)
	}
	must(t, os.Mkdir(r.system("broken"), 0o755))
	must(t, os.WriteFile(filepath.Join(r.system("broken"), site.SystemFile), []byte("method: kexec\n"), 0o644))
	r.awaitState("broken", status.LeftOut)
	write("timeout: many\n")
	r.awaitLog("what was offered before stays", "boottorrent.yaml:6:10", "timeout must be a whole number")
	now, err := Control{Dir: s.Dir}.Status(t.Context())
	if err != nil || len(now.Problems) != 1 || !strings.Contains(now.Problems[0], "boottorrent.yaml:6:10") {
		t.Errorf("problems of the site are %q, %v; want that of boottorrent.yaml, and no system's", now.Problems, err)
	}
	if c := r.catalog(); c.Defaults.Timeout != 4 {
		t.Errorf("defaults after a mistake %+v", c.Defaults)
	}

	write("timeout: 5\nlog: {level: warn}\n")
	r.awaitLog("level=WARN", "takes effect after a restart", "keys=log")
	r.awaitLog("catalog published")
	if c := r.catalog(); c.Defaults.Timeout != 5 {
		t.Errorf("defaults with another log level %+v", c.Defaults)
	}
}

func TestNeedRestart(t *testing.T) {
	dir := newSite(t).Dir
	load := func(config string) *site.Site {
		must(t, os.WriteFile(filepath.Join(dir, site.ConfigFile), []byte("version: 1\n"+config), 0o644))
		s, problems := site.Load(dir)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return s
	}
	const server = "dhcp: {mode: server, range: {first: 10.0.0.10, last: 10.0.0.20}, dns: [10.0.0.2], reservations: [%]}\n"
	reserved := strings.Replace(server, "%", `{mac: "52:54:00:00:00:01", address: 10.0.0.30}`, 1)
	plain := strings.Replace(server, "%", "", 1)
	for _, c := range []struct{ running, changed, want string }{
		{"", "", ""},
		{plain, plain, ""},
		{"", "name: other\ndefault: one\ntimeout: 1\nseed_time: 2\nnode: {consoles: [tty0]}\n", ""},
		{plain, reserved, "addresses in machines or dhcp.reservations"},
		{"", "ports: {http: 81}\nserve: {interfaces: [eth0]}\ndhcp: {mode: off}\nlog: {format: json}\n", "serve dhcp ports log"},
		{"", "seed: {until: swarm}\nlimits: {node: {upload: 1 MB/s}}\n", ""},
		{"limits: {seeder: {upload: 2 MB/s}}\n", "limits: {seeder: {upload: 1 MB/s}}\n", "limits.seeder"},
	} {
		if got := strings.Join(needRestart(load(c.running), load(c.changed)), " "); got != c.want {
			t.Errorf("from\n%sto\n%sneeds a restart for %q, want %q", c.running, c.changed, got, c.want)
		}
	}
}
