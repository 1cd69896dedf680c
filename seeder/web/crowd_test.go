package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/seeder/admit"
)

// crowdEnv makes this test's program one that opens connections: "ADDRESS NUMBER".
const crowdEnv = "BOOTTORRENT_TEST_CROWD"

func TestMain(m *testing.M) {
	if text := os.Getenv(crowdEnv); text != "" {
		crowd(text)
		return
	}
	os.Exit(m.Run())
}

// crowd opens connections from 127.0.1.1, asks nothing, says so, and holds them until its input ends.
func crowd(text string) {
	addr, number, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(number)
	// The kernel chooses a port when it knows where the connection goes: to find one before is slow while thousands are taken.
	late := func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, 1)}, Control: late}
	var all []net.Conn
	for range n {
		c, err := dialer.Dial("tcp4", addr)
		if err != nil {
			fmt.Println(err)
			return
		}
		all = append(all, c)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(all)
}

// startCrowd starts a program that opens so many connections, and returns when it has.
func startCrowd(t *testing.T, base string, n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdEnv+"="+strings.TrimPrefix(base, "http://")+" "+strconv.Itoa(n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the crowd says %q", line)
	}
}

// accepts counts how often a server asks for the next connection: one more than it has taken.
type accepts struct {
	net.Listener
	n     atomic.Int64
	until int64
	// reached is closed once it has asked until times.
	reached chan struct{}
}

// Accept implements net.Listener.
func (a *accepts) Accept() (net.Conn, error) {
	if a.n.Add(1) == a.until {
		close(a.reached)
	}
	return a.Listener.Accept()
}

// from is a client whose connections come from 127.0.0.n, a new one for each request.
func from(n byte) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)}}
	return &http.Client{Timeout: need.Patience, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// Ten thousand connections that one machine opens and says nothing on keep nobody from booting, whether there are as many
// places or not.
func TestTenThousandConnections(t *testing.T) {
	const crowd = 10_000
	need.Descriptors(t, crowd+1000)
	for name, places := range map[string]int{"places for all": crowd + 100, "places for half": crowd / 2} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *Config) { c.Policy = admit.New(admit.Config{Connections: places}) })
			s.Publish(s.release(hash1))
			l := &accepts{Listener: listen(t), until: crowd + 1, reached: make(chan struct{})}
			base := serveOn(t, s, l)
			startCrowd(t, base, crowd)
			// The kernel lets the crowd's program connect before the server takes its connections.
			select {
			case <-l.reached:
			case <-time.After(need.Patience):
				t.Fatalf("the server asked for %d connections, %d of the crowd are open", l.n.Load(), crowd)
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			t.Logf("%d KiB in use", m.Sys>>10)
			for n := range 200 {
				for _, path := range []string{catalog.PathScript, catalog.PathKernel, catalog.PathInitrd, catalog.PathCatalog} {
					resp, err := from(byte(2 + n)).Get(base + path)
					if err != nil {
						t.Fatal(err)
					}
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 || err != nil {
						t.Fatalf("%s: %s, %v", path, resp.Status, err)
					}
				}
			}
		})
	}
}

// Eight readers that take their time hold the fallback of nobody else.
func TestSlowReadersGiveWay(t *testing.T) {
	s := newSite(t, nil)
	bigFile(t, s)
	url := serve(t, s) + catalog.WebSeedPath(hash1) + "tiny/vmlinuz"
	for range defaultMaxFallback {
		resp, err := from(2).Get(url)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close() // nothing more is read
	}
	for n := range byte(3) {
		resp, err := from(10 + n).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || got != bigSize || err != nil {
			t.Errorf("somebody else gets %s, %d bytes, %v", resp.Status, got, err)
		}
	}
	resp, err := from(2).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// A file that is deleted while it is served is served to its end, however long that takes.
func TestDeletedWhileServed(t *testing.T) {
	s := newSite(t, nil)
	const size = 1 << 30
	name := s.dir + "/oss/tiny/vmlinuz"
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	publishFile(s, size)
	r, err := http.NewRequestWithContext(t.Context(), "GET", serve(t, s)+catalog.WebSeedPath(hash1)+"tiny/vmlinuz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d of %d bytes came: %v", n, int64(size), err)
	}
	resp, err = http.Get(r.URL.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("then it is answered %d, want 404", resp.StatusCode)
	}
}
