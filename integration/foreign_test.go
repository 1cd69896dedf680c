package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Programs of other people against the seeder, from another host of the room: no node, no emulation.
func TestForeignClients(t *testing.T) {
	for command, pkg := range map[string]string{"aria2c": "aria2", "curl": "curl", "tftp": "tftp-hpa", "minisign": "minisign", "udhcpc": "udhcpc"} {
		need.Command(t, command, pkg)
	}
	r := newRoom(t, serverMode)
	r.must(r.site.AddTiny(t.Context(), "tiny", 8<<20))
	r.serve()
	client, err := r.Host("client")
	r.must(err)
	cat, err := r.seeder.Catalog(t.Context())
	r.must(err)
	f := &foreign{t: t, room: r, client: client, system: cat.Systems[0]}
	f.files, err = r.seeder.Files(t.Context(), f.system)
	r.must(err)
	// The first gives the client the address that the others use.
	t.Run("udhcpc", f.udhcpc)
	t.Run("aria2c", f.aria2c)
	t.Run("curl", f.curl)
	t.Run("tftp", f.tftp)
	t.Run("minisign", f.minisign)
}

type foreign struct {
	t      *testing.T
	room   *room
	client *lab.Host
	system catalog.System
	files  catalog.FileList
}

// run runs a program at the client and returns what it printed.
func (f *foreign) run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := f.client.Command(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (f *foreign) udhcpc(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	text := "#!/bin/sh\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface && echo bound $ip $mask $lease\nexit 0\n"
	need.Script(t, script, text)
	out := f.run(t, "", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-s", script)
	if !strings.Contains(out, "bound 10.77.2.") || !strings.Contains(out, " 600") {
		t.Errorf("no lease of the range for ten minutes:\n%s", out)
	}
}

func (f *foreign) aria2c(t *testing.T) {
	dir := t.TempDir()
	f.run(t, dir, "aria2c", "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false", "--listen-port=6999",
		"--console-log-level=warn", "--summary-interval=0", "--bt-stop-timeout=30",
		f.room.seeder.Base+catalog.TorrentPath(f.system.InfoHash))
	for _, file := range f.files {
		b, err := os.ReadFile(filepath.Join(dir, f.system.Name, file.Path))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != file.SHA256 {
			t.Errorf("%s: aria2c got another file than the catalog's", file.Path)
		}
	}
}

func (f *foreign) curl(t *testing.T) {
	file := f.files[0]
	want, err := os.ReadFile(f.room.site.Path(site.SystemsDir, f.system.Name, file.Path))
	if err != nil {
		t.Fatal(err)
	}
	got := f.run(t, "", "curl", "-sSf", "-r", "1000-1999", f.room.seeder.Base+f.system.FilePath(file.Path))
	if got != string(want[1000:2000]) {
		t.Error("curl got other bytes than the range it asked for")
	}
	script := f.run(t, "", "curl", "-sSf", f.room.seeder.Base+catalog.PathScript)
	if !strings.HasPrefix(script, "#!ipxe\n") || !strings.Contains(script, "bt.seeder="+f.room.seeder.Base) {
		t.Errorf("the iPXE script:\n%s", script)
	}
}

func (f *foreign) tftp(t *testing.T) {
	want, err := os.ReadFile(need.File(t, "/usr/lib/ipxe/undionly.kpxe", "ipxe"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f.run(t, dir, "tftp", "-m", "binary", f.room.host.IP().String(), "-c", "get", "undionly.kpxe")
	got, err := os.ReadFile(filepath.Join(dir, "undionly.kpxe"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("tftp got %d bytes (%v), want the loader's %d", len(got), err, len(want))
	}
}

func (f *foreign) minisign(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{catalog.PathCatalog, catalog.PathSignature} {
		f.run(t, dir, "curl", "-sSfO", f.room.seeder.Base+path)
	}
	out, err := exec.Command("minisign", "-V", "-p", f.room.site.Path(site.PublicKeyFile), "-m", filepath.Join(dir, "catalog.json")).CombinedOutput()
	if err != nil {
		t.Errorf("minisign -V: %v\n%s", err, out)
	}
}
