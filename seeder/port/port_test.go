package port

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fakeProc is a /proc with a dnsmasq at every address of UDP port 67, and a web server at one of TCP port 8080.
func fakeProc(t *testing.T) string {
	t.Helper()
	proc := t.TempDir()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	for name, text := range map[string]string{
		"thread-self/net/udp": head + " 1: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n",
		"thread-self/net/tcp": head + " 1: 01004D0A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0\n" +
			" 2: 01004D0A:1F91 02004D0A:1234 01 00000000:00000000 00:00000000 00000000     0        0 4713 2 0 0\n",
		"thread-self/net/tcp6": head + " 1: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 2 0 0\n",
		"123/comm":             "dnsmasq\n", "123/cgroup": "0::/system.slice/dnsmasq.service\n",
		"124/comm": "nginx\n", "124/cgroup": "0::/user.slice/user-0.slice/session-1.scope\n",
	} {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for pid, sockets := range map[string][]string{"123": {"4711"}, "124": {"4712", "4713"}} {
		if err := os.Mkdir(filepath.Join(proc, pid, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, s := range sockets {
			if err := os.Symlink("socket:["+s+"]", filepath.Join(proc, pid, "fd", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return proc
}

func TestOwner(t *testing.T) {
	proc := fakeProc(t)
	for _, test := range []struct{ network, at, want string }{
		{"udp", "10.77.0.1:67", "dnsmasq (pid 123) of dnsmasq.service"},
		{"udp", "0.0.0.0:67", "dnsmasq (pid 123) of dnsmasq.service"},
		{"udp", "10.77.0.1:69", ""},
		{"tcp", "10.77.0.1:8080", "nginx (pid 124)"},
		{"tcp", "0.0.0.0:8080", "nginx (pid 124)"},
		{"tcp", "10.77.0.2:8080", ""},                // it listens at another address
		{"tcp", "10.77.0.1:8081", ""},                // a connection, nobody who listens
		{"tcp", "10.77.0.1:8082", "nginx (pid 124)"}, // IPv6's sockets take IPv4's ports too
	} {
		got := ""
		if p := owner(proc, test.network, netip.MustParseAddrPort(test.at), nil); p != nil {
			got = p.String()
		}
		if got != test.want {
			t.Errorf("%s %s: %q, want %q", test.network, test.at, got, test.want)
		}
	}
}

func TestStop(t *testing.T) {
	if got := (&Process{PID: "1", Unit: "dnsmasq.service"}).Stop(); got != "stop it: systemctl disable --now dnsmasq.service" {
		t.Error(got)
	}
	if got := (&Process{PID: "12"}).Stop(); !strings.Contains(got, "kill 12") {
		t.Error(got)
	}
}

// This process is found at what it listens on itself.
func TestExplain(t *testing.T) {
	first, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	at := netip.MustParseAddrPort(first.Addr().String())
	_, err = net.Listen("tcp4", at.String())
	err = Explain(err, "tcp", at, nil)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "(pid "+strconv.Itoa(os.Getpid())+")") || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("got: %v", err)
	}
	if err := Explain(os.ErrPermission, "tcp", at, nil); err != os.ErrPermission {
		t.Errorf("another error became %v", err)
	}
}
