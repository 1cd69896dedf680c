package tftp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// Over a path that takes packets of 1400 bytes a foreign client that asks for blocks of 1468 gets its file: where this machine's
// own interface is the narrow one, in blocks that fit; where a router in between is, which only an ICMP message tells, too.
func TestNarrowPath(t *testing.T) {
	need.Root(t)
	need.Command(t, "ip", "iproute2")
	curl := need.Command(t, "curl", "curl")
	for name, mtus := range map[string][2]int{"own interface": {1400, 1400}, "router in between": {1500, 1400}} {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprintf("bttftp%d-%d-", os.Getpid(), mtus[0])
			server, router, client := prefix+"s", prefix+"r", prefix+"c"
			ip := func(args ...string) {
				t.Helper()
				if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
				}
			}
			for _, ns := range []string{server, router, client} {
				ip("netns", "add", ns)
				t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
			}
			for i, end := range []struct{ ns, addr, gateway string }{{server, "10.78.0.1", "10.78.0.254"}, {client, "10.79.0.1", "10.79.0.254"}} {
				link := fmt.Sprintf("link%d", i)
				ip("-n", router, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", end.ns)
				ip("-n", router, "addr", "add", end.gateway+"/24", "dev", link)
				ip("-n", router, "link", "set", link, "mtu", fmt.Sprint(mtus[i]), "up")
				ip("-n", end.ns, "addr", "add", end.addr+"/24", "dev", "eth0")
				ip("-n", end.ns, "link", "set", "eth0", "mtu", fmt.Sprint(mtus[i]), "up")
				ip("-n", end.ns, "route", "add", "default", "via", end.gateway)
			}
			if out, err := exec.Command("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want := randomBytes(20000)
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, want, 0o600); err != nil {
				t.Fatal(err)
			}
			stop := serveIn(t, server, path)
			got, err := exec.Command("ip", "netns", "exec", client, curl, "--silent", "--show-error", "--noproxy", "*", "--max-time", "20",
				"--tftp-blksize", "1468", "tftp://10.78.0.1/file.efi").Output()
			stop()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes of %d, %v", len(got), len(want), err)
			}
			if fragments := fragmentsMade(t, server); mtus[0] == 1400 && fragments != 0 {
				t.Errorf("%d packets were sent in fragments", fragments)
			}
		})
	}
}

// fragmentsMade is how many packets a namespace has sent in fragments (proc_net_snmp(5), Ip: FragOKs).
func fragmentsMade(t *testing.T, ns string) (n int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns, "cat", "/proc/net/snmp").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if f[0] != "Ip:" {
			continue
		}
		for i, name := range names {
			if name == "FragOKs" {
				_, err = fmt.Sscan(f[i], &n)
			}
		}
		names = f
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// serveFile makes the test program a server of one file, for tests in a network namespace: each transfer opens a socket of its own,
// on whatever thread it runs.
const serveFile = "BT_TFTP_SERVE"

func TestMain(m *testing.M) {
	if path := os.Getenv(serveFile); path != "" {
		s := New(Config{
			Listen: []netip.AddrPort{netip.MustParseAddrPort("10.78.0.1:69")}, Files: files(map[string]string{"file.efi": path}),
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err := s.Listen(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
		fmt.Println("ready")
		if err := s.Serve(ctx); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveIn runs a server of one file in a network namespace, at 10.78.0.1.
func serveIn(t *testing.T, ns, path string) (stop func()) {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, os.Args[0])
	cmd.Env = append(os.Environ(), serveFile+"="+path)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the server says %q, %v", line, err)
	}
	return stop
}
