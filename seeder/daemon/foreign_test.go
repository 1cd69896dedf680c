package daemon

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// foreignClient is a BitTorrent client that others wrote. start returns the command that downloads a torrent to dir, with
// connections from addr; it may use home for itself.
type foreignClient struct {
	name  string
	start func(ctx context.Context, torrent, dir, addr, home string) *exec.Cmd
}

// TestForeignClients has foreign clients download what the seeder offers, each knowing nothing but the torrent as it is
// served: the seed comes from the tracker in it. They do so in a network namespace, as transmission takes no peer with a
// loopback address. Most of the test's time is transmission's, which says only every ten seconds that it wants something.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	need.Namespaces(t)
	clients := foreignClients(t)
	if !inOwnNetwork(t) {
		return
	}
	s := newSiteAt(t, addAddress(t, 1))
	files := map[string][]byte{"vmlinuz": kernel(300<<10, 'a'), "sub/initrd": make([]byte, 3<<20+123)}
	rand.NewChaCha8([32]byte{1}).Read(files["sub/initrd"])
	s = replaceSystem(t, s, files, "dispname: one\nmethod: kexec\nkernel: vmlinuz\ninitrd: sub/initrd\n")
	r := start(t, s)
	torrent := filepath.Join(t.TempDir(), "one.torrent")
	must(t, os.WriteFile(torrent, r.get(catalog.TorrentPath(r.catalog().Systems[0].InfoHash)), 0o644))

	for i, c := range clients {
		dir, home, addr := t.TempDir(), t.TempDir(), addAddress(t, 11+i)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), need.Patience)
			defer cancel()
			cmd := c.start(ctx, torrent, dir, addr, home)
			cmd.Env = append(os.Environ(), "HOME="+home)
			out, err := cmd.CombinedOutput()
			for name, want := range files {
				if got, _ := os.ReadFile(filepath.Join(dir, "one", name)); !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes that are not the %d of the original; %v\n%s", name, len(got), len(want), err, out)
				}
			}
		})
	}
}

func foreignClients(t *testing.T) []foreignClient {
	aria2c, transmission := need.Command(t, "aria2c", "aria2"), need.Command(t, "transmission-cli", "transmission-cli")
	need.File(t, "/usr/share/doc/python3-libtorrent/copyright", "python3-libtorrent")
	python := need.Command(t, "/usr/bin/python3", "python3") // the one that Debian's modules are for
	return []foreignClient{
		{"aria2", func(ctx context.Context, torrent, dir, addr, _ string) *exec.Cmd {
			return exec.CommandContext(ctx, aria2c, "--no-conf", "--dir="+dir, "--seed-time=0", "--enable-dht=false",
				"--bt-enable-lpd=false", "--file-allocation=none", "--interface="+addr, "--summary-interval=0", torrent)
		}},
		{"libtorrent", func(ctx context.Context, torrent, dir, addr, _ string) *exec.Cmd {
			return exec.CommandContext(ctx, python, "testdata/download.py", torrent, dir, addr)
		}},
		{"transmission", func(ctx context.Context, torrent, dir, addr, home string) *exec.Cmd {
			must(t, os.WriteFile(filepath.Join(home, "settings.json"), fmt.Appendf(nil, `{"bind-address-ipv4": %q, "dht-enabled": false,
				"lpd-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false, "rpc-enabled": false}`, addr), 0o600))
			// It goes on seeding for ever; this script is called when it has everything.
			finish := filepath.Join(home, "finish")
			need.Script(t, finish, "#!/bin/sh\nkill -TERM $PPID\n")
			return exec.CommandContext(ctx, transmission, "--config-dir", home, "--download-dir", dir, "--finish", finish, torrent)
		}},
	}
}

// replaceSystem makes other files those of the system "one", and loads the site again.
func replaceSystem(t *testing.T, s *site.Site, files map[string][]byte, config string) *site.Site {
	t.Helper()
	folder := filepath.Join(s.Dir, site.SystemsDir, "one")
	for name, body := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(folder, name), body, 0o644))
	}
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte(config), 0o644))
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// inOwnNetwork runs the test that calls it a second time, by this program in a network namespace of its own, and reports
// whether this is that second time.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const marker = "BOOTTORRENT_TEST_NETWORK"
	if os.Getenv(marker) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=8")
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in a network namespace: %v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	return false
}

// addAddress gives this network namespace the address 10.98.0.n.
func addAddress(t *testing.T, n int) string {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	text := fmt.Sprintf("10.98.0.%d", n)
	addr, err := netlink.ParseAddr(text + "/24")
	must(t, err)
	must(t, netlink.AddrAdd(lo, addr))
	return text
}
