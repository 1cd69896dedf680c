package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/promote"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// fullConfig is what a site may say of machines, in every form that comes out otherwise in a catalog.
const fullConfig = `
default: one
timeout: -3
seed_time: 7
seed: {until: ratio, ratio: 1.5, limit: 99, after_start: false}
local: false
uefi: ipxe
arch: [amd64, arm64]
node: {consoles: [tty0, "ttyS1,9600"], cmdline: 'quiet x="a b"'}
limits: {seeder: {upload: "900 Mbit/s"}, node: {upload: "64.001 KiB/s", download: "100 Mbit/s"}}
groups:
  - name: teachers
    match: {mac: ["52:54:00:*", "52-54-01-00-00-01 - 52-54-01-00-00-09"], uuid: "4C*", serial: ["5CG1*", "0x1"], vendor: "yes", model: "*'\"#: ", subnet: [10.1.0.0/24], arch: arm64, firmware: uefi, memory: ">= 7.3 GiB", secure_boot: false}
    default: menu
    timeout: 0
    menu: locked
    password: "$2a$10$7EqJtq98hPqEX7fNZaFWoO.4Z9eY0uMZfO2T9Yw8gq3Jm8y9b1C5K"
    systems: [one, local]
    cmdline: "a=b # c"
    seed: {until: swarm, limit: 5, after_start: true}
    limits: {upload: "12.5 MB/s"}
    hostname: "desk-{{.Last}}"
    writable: none
    ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyzGjSNmNWC5Yl6hyXOZsqqJZ7nYKtcGGWlKZYKXVjh a@b"]
    next: local
  - {name: "1e3", match: {memory: "< 1234567 kB"}, seed_time: 61, limits: {upload: ""}, writable: ram, writable_limit: "50%", seed: {after_start: false}}
  - {name: all, timeout: 4, writable_limit: "1.5 GiB"}
machines:
  - {mac: "52:54:00:12:34:56", name: "007", group: "1e3", hostname: true-1, notes: lost}
  - {mac: "52:54:00:12:34:57"}
`

// fullSite makes a site with all that a catalog can have but guests.
func fullSite(t *testing.T) *site.Site {
	t.Helper()
	s := newSite(t)
	config, err := os.ReadFile(filepath.Join(s.Dir, site.ConfigFile))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, site.ConfigFile), append(config, fullConfig...), 0o644))
	must(t, os.Chmod(filepath.Join(s.Dir, site.SecretKeyFile), 0o600))
	one := filepath.Join(s.Dir, site.SystemsDir, "one")
	must(t, os.MkdirAll(filepath.Join(one, "boot"), 0o755))
	must(t, os.WriteFile(filepath.Join(one, "boot/z.img"), []byte("070701"), 0o644))
	must(t, os.WriteFile(filepath.Join(one, "a.img"), []byte("070701"), 0o644))
	must(t, os.WriteFile(filepath.Join(one, site.SystemFile),
		[]byte("dispname: 'One: \"the first\" # 1'\ndescription: |\n  two\n  lines: yes\nhidden: true\nmethod: kexec\nkernel: vmlinuz\ninitrd: [boot/z.img, a.img]\ncmdline: 'quiet {{.MAC}} x=\"1\"'\n"), 0o644))
	rootSystem(t, s.Dir, "6.1.0-1")
	writeImage(t, s.Dir, 'i')
	files := filepath.Join(s.Dir, site.FilesDir, "teachers")
	must(t, os.MkdirAll(filepath.Join(files, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(files, "etc/issue.tmpl"), []byte("{{.MAC}}\n"), 0o640))
	must(t, os.Symlink("issue", filepath.Join(files, "etc/link")))
	must(t, os.MkdirAll(filepath.Join(s.Dir, site.StateDir), 0o755))
	must(t, next.Restore(filepath.Join(s.Dir, site.StateDir), []catalog.Next{{ID: "abc", MAC: "52:54:00:12:34:57", What: "desktop", Once: true}}, time.Now()))
	s, problems := site.Load(s.Dir)
	if s == nil || len(s.AllProblems()) > 0 {
		t.Fatal(problems, s)
	}
	return s
}

// said is what a catalog says, but for when it was made, its counter, and where its seeder is.
func said(c *catalog.Catalog) string {
	copied := *c
	copied.Created, copied.Counter, copied.HTTP, copied.Trackers = time.Time{}, 0, []string{}, []string{}
	b, err := copied.Encode()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// A mirror that is promoted is a site whose catalog says what it said before, with a higher counter.
func TestPromote(t *testing.T) {
	s := fullSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	first.await("the image", func(c *catalog.Catalog) bool { return len(c.Runtimes) == 2 })
	dir := newMirror(t, s, first.base, "127.0.0.1", "limits: {seeder: {upload: \"300 Mbit/s\"}}\nracks: [10.9.0.0/24]\n")
	second, stop := startMirror(t, dir)
	awaitSystem(t, second.base, "one", status.Published)
	awaitSystem(t, second.base, "desktop", status.Published)
	await(t, "the mirror has the first seeder's catalog", func() bool { return second.catalog().Counter == first.catalog().Counter })
	before := first.catalog()

	key := filepath.Join(s.Dir, site.SecretKeyFile)
	options := promote.Options{Dir: dir, Key: key, State: MirrorDir, Log: slog.New(slog.DiscardHandler)}
	if _, err := promote.Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("while it runs: %v", err)
	}
	stop()
	cancel()
	<-first.ended
	wrong := options
	wrong.Key = filepath.Join(newSite(t).Dir, site.SecretKeyFile)
	if _, err := promote.Run(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "nodes would refuse") {
		t.Errorf("with another key: %v", err)
	}
	r, err := promote.Run(t.Context(), options)
	must(t, err)
	if r.Systems != 2 || r.Counter < before.Counter {
		t.Errorf("%+v", r)
	}
	if _, err := promote.Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "is a site already") {
		t.Errorf("once more: %v", err)
	}
	if n, err := counter.Read(filepath.Join(dir, site.StateDir)); err != nil || n < before.Counter {
		t.Errorf("its counter goes on from %d, %v", n, err)
	}
	promoted, problems := site.Load(dir)
	if promoted == nil || len(promoted.AllProblems()) > 0 || promoted.Limits.Seeder != 300e6/8 || len(promoted.Racks) != 1 {
		t.Fatalf("%v %+v", problems, promoted)
	}
	again := start(t, promoted)
	after := again.await("everything", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 && len(c.Runtimes) == 2 && len(c.Files) == 1 })
	if a, b := said(before), said(after); a != b {
		t.Errorf("before it said\n%s\nand now\n%s", a, b)
	}
	if after.Counter <= before.Counter {
		t.Errorf("its counter is %d, and was %d", after.Counter, before.Counter)
	}
	if read(again.base, "/boot/vmlinuz") == nil {
		t.Error("it has no kernel")
	}
}

// Another mirror goes on with the seeder that a mirror was made of.
func TestMirrorsFollowThePromoted(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	second, stop := startMirror(t, dir)
	m, problems := site.LoadMirror(dir)
	if m == nil {
		t.Fatal(problems)
	}
	third := newMirror(t, s, first.base, "127.0.0.1", "")
	config, err := os.ReadFile(filepath.Join(third, site.MirrorFile))
	must(t, err)
	both := strings.Replace(string(config), fmt.Sprintf("upstream: [%q]", first.base), fmt.Sprintf("upstream: [%q, %q]", first.base, second.base), 1)
	must(t, os.WriteFile(filepath.Join(third, site.MirrorFile), []byte(both), 0o644))
	follower, _ := startMirror(t, third)
	awaitSystem(t, second.base, "one", status.Published)
	awaitSystem(t, follower.base, "one", status.Published)
	stop()
	cancel()
	<-first.ended
	_, err = promote.Run(t.Context(), promote.Options{Dir: dir, Key: filepath.Join(s.Dir, site.SecretKeyFile), State: MirrorDir, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	start(t, load(t, &site.Site{Dir: dir}))
	writeSystem(t, dir, "two", 'b')
	awaitSystem(t, follower.base, "two", status.Published)
}

// A system whose files are not here is named, and can be left out.
func TestPromoteWithout(t *testing.T) {
	s := newSite(t)
	writeSystem(t, s.Dir, "two", 'b')
	first := start(t, load(t, s))
	dir := newMirror(t, s, first.base, "127.0.0.1", "systems: [one]\n")
	second, stop := startMirror(t, dir)
	awaitSystem(t, second.base, "one", status.Published)
	awaitSystem(t, second.base, "two", status.Elsewhere)
	stop()
	options := promote.Options{Dir: dir, Key: filepath.Join(s.Dir, site.SecretKeyFile), State: MirrorDir, Log: slog.New(slog.DiscardHandler)}
	_, err := promote.Run(t.Context(), options)
	if missing := (*promote.MissingError)(nil); !errors.As(err, &missing) || len(missing.Systems) != 1 || missing.Systems["two"] == nil {
		t.Fatal(err)
	}
	if site.IsSite(dir) {
		t.Fatal("something was made all the same")
	}
	options.Without = []string{"two"}
	r, err := promote.Run(t.Context(), options)
	must(t, err)
	if s := load(t, &site.Site{Dir: dir}); r.Systems != 1 || len(s.Systems) != 1 {
		t.Errorf("%+v, %+v", r, s.Systems)
	}
}
