package swarm

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// foreignClient is a client of other people with an address of its own. It takes connections at the port and gives what it has below dir.
type foreignClient struct {
	name, pkg string
	// command is how it is started; tracker and peer are none if they are not needed.
	command func(t *testing.T, at netip.AddrPort, torrent, dir, tracker string, peer netip.AddrPort) []string
}

func aria2Client(args ...string) foreignClient {
	return foreignClient{"aria2c", "aria2", func(t *testing.T, at netip.AddrPort, torrent, dir, tracker string, _ netip.AddrPort) []string {
		return append([]string{"--no-conf", "--dir=" + dir, "--enable-dht=false", "--bt-enable-lpd=false", "--file-allocation=none",
			"--interface=" + at.Addr().String(), fmt.Sprintf("--listen-port=%d", at.Port()), "--bt-exclude-tracker=*", "--bt-tracker=" + tracker,
			"--bt-seed-unverified=true", "--seed-ratio=0.0", "--summary-interval=0", torrent}, args...)
	}}
}

func libtorrentClient(encryption string) foreignClient {
	return foreignClient{"/usr/bin/python3", "python3-libtorrent", func(t *testing.T, at netip.AddrPort, torrent, dir, _ string, peer netip.AddrPort) []string {
		need.File(t, "/usr/lib/python3/dist-packages/libtorrent.egg-info", "python3-libtorrent")
		args := []string{"testdata/foreign.py", at.Addr().String(), strconv.Itoa(int(at.Port())), torrent, dir, encryption}
		if peer.IsValid() {
			args = append(args, peer.Addr().String(), strconv.Itoa(int(peer.Port())))
		}
		return args
	}}
}

func transmissionClient(args ...string) foreignClient {
	return foreignClient{"transmission-cli", "transmission-cli", func(t *testing.T, at netip.AddrPort, torrent, dir, _ string, _ netip.AddrPort) []string {
		config := t.TempDir()
		writeFile(t, filepath.Join(config, "settings.json"), fmt.Appendf(nil, `{"bind-address-ipv4": %q, "dht-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false}`, at.Addr()))
		return append([]string{"--config-dir", config, "--download-dir", dir, "--port", strconv.Itoa(int(at.Port())), "--no-portmap"}, append(args, torrent)...)
	}}
}

// start runs the client until the test ends. Its folder has the sample's files if it seeds.
func (c foreignClient) start(t *testing.T, s *sampleSystem, host string, seeds bool, tracker string, peer netip.AddrPort) (at netip.AddrPort, dir string) {
	t.Helper()
	command := need.Command(t, c.name, c.pkg)
	at, dir = netip.AddrPortFrom(netip.MustParseAddr(host), uint16(need.Port(t))), t.TempDir()
	if seeds {
		if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
			t.Fatal(err)
		}
	}
	torrent := filepath.Join(t.TempDir(), "t.torrent")
	writeFile(t, torrent, s.torrent)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command, c.command(t, at, torrent, dir, tracker, peer)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		var last []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			last = append(last, lines.Text())
			last = last[max(0, len(last)-20):]
		}
		said <- strings.Join(last, "\n")
	}()
	t.Cleanup(func() {
		cancel()
		words := <-said
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said at last:\n%s", c.name, words)
		}
	})
	return at, dir
}

// TestFetchesFromForeignSeeder has a foreign client as the only one that has a system.
func TestFetchesFromForeignSeeder(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		what   string
		client foreignClient
		// dials says that the client opens the connection.
		dials bool
	}{
		{what: "aria2", client: aria2Client()},
		{what: "libtorrent", client: libtorrentClient("none")},
		{what: "libtorrent with encrypted handshakes", client: libtorrentClient("forced")},
		{what: "libtorrent with encryption", client: libtorrentClient("rc4")},
		{what: "libtorrent with encryption, which it begins", client: libtorrentClient("rc4"), dials: true},
		{what: "libtorrent with encrypted handshakes, which it begins", client: libtorrentClient("forced"), dials: true},
		{what: "Transmission", client: transmissionClient()},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, 256<<10, 1000, 5<<20+17)
			node, dir := newNode(t, fmt.Sprintf("127.0.0.%d", 140+i)), t.TempDir()
			peer, from := netip.AddrPort{}, []netip.AddrPort(nil)
			if c.dials {
				peer = node.addrPort()
			}
			at, _ := c.client.start(t, s, fmt.Sprintf("127.0.0.%d", 160+i), true, "", peer)
			if !c.dials {
				from = append(from, at)
			}
			if err := node.Fetch(t.Context(), s.source(dir, from...), nil); err != nil {
				t.Fatal(err)
			}
			s.checkFiles(t, dir)
			if st, _ := node.Stats(s.system.InfoHash); st.FromNodes != s.system.Size {
				t.Errorf("%+v, want everything from the foreign client", st)
			}
		})
	}
}
