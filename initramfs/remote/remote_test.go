package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/boottorrent/boottorrent/internal/need"
)

// keys makes a key pair in the form of OpenSSH and returns the file of the secret one, and the public line.
func keys(t *testing.T) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "id")
	signer, err := HostKey(file) // of the same form
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// serve starts a server on loopback that lets in who has the public key, and returns its port and host key line.
func serve(t *testing.T, public string) (port, hostKey string) {
	t.Helper()
	return serveWith(t, public, t.Logf)
}

// serveWith is serve with a log.
func serveWith(t *testing.T, public string, log func(string, ...any)) (port, hostKey string) {
	t.Helper()
	return serveConfig(t, Config{Keys: []string{public}, Shell: "/bin/sh", Log: log})
}

// serveConfig is serve with a configuration, but for the host key.
func serveConfig(t *testing.T, cfg Config) (port, hostKey string) {
	t.Helper()
	host, err := HostKey(filepath.Join(t.TempDir(), "host"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.HostKey = host
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, string(ssh.MarshalAuthorizedKey(host.PublicKey()))
}

// client is OpenSSH's, which knows the server's host key and no other key than the given.
type client struct {
	t    *testing.T
	args []string
}

func newClient(t *testing.T, port, hostKey, key string) *client {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte("[127.0.0.1]:"+port+" "+hostKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return &client{t, []string{need.Command(t, "ssh", "openssh-client"), "-F", "none", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-i", key, "-p", port}}
}

func (c *client) run(stdin string, args ...string) (out string, code int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), need.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], append(c.args[1:], args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

// Keys in the file may log in as soon as they are there, and no longer when they are gone.
func TestKeysFile(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	more := filepath.Join(t.TempDir(), "keys")
	port, hostKey := serveConfig(t, Config{KeysFile: more, Shell: "/bin/sh", Log: t.Logf})
	c := newClient(t, port, hostKey, file)
	for _, tt := range []struct {
		keys string
		code int
	}{{"", 255}, {"\n" + public + "\n", 0}, {"no key\n", 255}, {public, 0}, {"\n", 255}} {
		if err := os.WriteFile(more, []byte(tt.keys), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := c.run("", "root@127.0.0.1", "true"); code != tt.code {
			t.Errorf("with the keys %.30q: exit %d with %q, want %d", tt.keys, code, out, tt.code)
		}
	}
}

// OpenSSH is the referee.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	port, hostKey := serve(t, public)
	c := newClient(t, port, hostKey, file)
	for _, tt := range []struct {
		name, stdin string
		args        []string
		out         string
		code        int
	}{
		{"a command", "", []string{"anybody@127.0.0.1", "echo hello; echo to errors >&2"}, "hello", 0},
		{"its exit status", "", []string{"root@127.0.0.1", "exit 7"}, "", 7},
		{"its signal", "", []string{"root@127.0.0.1", "kill -TERM $$"}, "", 143},
		{"its input", "some text", []string{"root@127.0.0.1", "wc -c"}, "9", 0},
		{"input that nobody reads", strings.Repeat("x", 1<<20), []string{"root@127.0.0.1", "true"}, "", 0},
		{"a shell without terminal", "echo from the shell; exit 3\n", []string{"-T", "root@127.0.0.1"}, "from the shell", 3},
		{"a terminal", "", []string{"-tt", "root@127.0.0.1", "tty; echo $TERM"}, "/dev/pts/", 0},
		{"no forwarding", "", []string{"-W", "127.0.0.1:1", "root@127.0.0.1"}, "there are only sessions here", 255},
	} {
		out, code := c.run(tt.stdin, tt.args...)
		if code != tt.code || !strings.Contains(out, tt.out) {
			t.Errorf("%s: exit %d with %q; want %d with %q", tt.name, code, out, tt.code, tt.out)
		}
	}
	other, _ := keys(t)
	if out, code := newClient(t, port, hostKey, other).run("", "root@127.0.0.1", "echo in"); code != 255 || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("another key: exit %d with %q", code, out)
	}
}

// A terminal has the size of the client's, and follows it; what runs there ends with the connection.
func TestTerminal(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	port, _ := serve(t, public)
	conn := dial(t, port, file)
	s, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.RequestPty("vt100", 33, 77, nil), s.Shell()); err != nil {
		t.Fatal(err)
	}
	seen := ""
	await := func(text string) {
		t.Helper()
		buf := make([]byte, 1024)
		for !strings.Contains(seen, text) {
			n, err := out.Read(buf)
			seen += string(buf[:n])
			if err != nil {
				t.Fatalf("%v; the terminal shows %q, not %q", err, seen, text)
			}
		}
	}
	fmt.Fprintln(in, "stty size; echo $TERM; echo pid=$$=")
	await("33 77")
	await("vt100")
	await("=\r\n")
	if err := s.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "stty size")
	await("50 132")
	_, rest, _ := strings.Cut(seen[strings.LastIndex(seen, "\npid="):], "pid=")
	pid, _, _ := strings.Cut(rest, "=")
	if _, err := os.Stat("/proc/" + pid); err != nil {
		t.Fatalf("the shell is process %q: %v", pid, err)
	}
	conn.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := os.Stat("/proc/" + pid); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the shell %s outlives its connection", pid)
		}
	}
}

// A client that takes its time gets everything, also what the command had said when it ended.
func TestDrain(t *testing.T) {
	t.Parallel()
	from, command, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	client := &slowClient{asked: make(chan struct{}), goOn: make(chan struct{})}
	drained := make(chan struct{})
	go func() { drain(client, from); close(drained) }()
	fmt.Fprint(command, "first ")
	<-client.asked
	fmt.Fprint(command, "last")
	if err := from.SetReadDeadline(time.Unix(1, 0)); err != nil { // it was written for longer than restTime
		t.Fatal(err)
	}
	close(client.goOn)
	command.Close()
	if <-drained; client.String() != "first last" {
		t.Errorf("the client has %q", client)
	}
}

type slowClient struct {
	strings.Builder
	asked, goOn chan struct{}
	once        sync.Once
}

func (c *slowClient) Write(p []byte) (int, error) {
	c.once.Do(func() { close(c.asked); <-c.goOn })
	return c.Builder.Write(p)
}

// What a command leaves behind does not keep the session.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	port, hostKey := serve(t, public)
	c := newClient(t, port, hostKey, file)
	for _, option := range []string{"-T", "-tt"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			out, code := c.run("", option, "root@127.0.0.1", `trap "" HUP; sleep 3600 & echo pid=$!=; exit 5`)
			_, rest, _ := strings.Cut(out, "pid=")
			text, _, _ := strings.Cut(rest, "=")
			pid, err := strconv.Atoi(text)
			if err != nil || code != 5 {
				t.Fatalf("exit %d with %q", code, out)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Errorf("%d was to be there still: %v", pid, err)
			}
		})
	}
}

// dial is a client that a test can make do anything.
func dial(t *testing.T, port, keyFile string) *ssh.Client {
	t.Helper()
	secret, err := HostKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ssh.Dial("tcp", "127.0.0.1:"+port, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(secret)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// A signal ends the command and its children.
func TestSignal(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	port, _ := serve(t, public)
	s, err := dial(t, port, file).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("echo ready; sleep 60; echo not reached"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Signal("NONE"), s.Signal(ssh.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	exit := (*ssh.ExitError)(nil)
	if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 128+int(syscall.SIGTERM) || len(rest) > 0 {
		t.Errorf("%v, with %q", err, rest)
	}
}

// Passwords are nothing here, nor are more connections than a few people need.
func TestLimits(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	port, _ := serve(t, public)
	asked := false
	_, err := ssh.Dial("tcp", "127.0.0.1:"+port, &ssh.ClientConfig{User: "root", HostKeyCallback: ssh.InsecureIgnoreHostKey(), Auth: []ssh.AuthMethod{
		ssh.PasswordCallback(func() (string, error) { asked = true; return "", nil }),
		ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			asked = true
			return make([]string, len(questions)), nil
		}),
	}})
	if err == nil || asked {
		t.Errorf("with a password: %v, asked for one: %v", err, asked)
	}
	for range maxSessions {
		// The server answers requests once somebody has a place; that the key was accepted comes before.
		if _, _, err := dial(t, port, file).SendRequest("keepalive@openssh.com", true, nil); err != nil {
			t.Fatal(err)
		}
	}
	// One more has the key, but there is no place.
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(need.Patience))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	client, _, _, err := ssh.NewClientConn(conn, "", &ssh.ClientConfig{User: "root", HostKeyCallback: ssh.InsecureIgnoreHostKey(), Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}})
	if err == nil {
		err = client.Wait()
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("person %d: %v", maxSessions+1, err)
	}
}

// Strangers that say nothing, or what is no SSH, keep nobody out, wherever they are, and don't fill the log.
func TestStrangers(t *testing.T) {
	t.Parallel()
	file, public := keys(t)
	var lines atomic.Int32
	port, _ := serveWith(t, public, func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !strings.Contains(text, " is in, ") {
			lines.Add(1)
		}
	})
	for n := range 4 * maxPending {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n%2))}}
		conn, err := d.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if n%2 == 0 {
			if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range maxSessions {
		dial(t, port, file)
	}
	if n := lines.Load(); n > maxPending {
		t.Errorf("%d lines of %d strangers are in the log", n, 4*maxPending)
	}
}

// Who is closed when too many have not proved who they are.
func TestPending(t *testing.T) {
	t.Parallel()
	p := newPending()
	greedy := make([]*fakeConn, 2*maxPending)
	for i := range greedy {
		greedy[i] = &fakeConn{from: "10.0.0.1:1"}
		p.add(greedy[i])
	}
	slow := &fakeConn{from: "10.0.0.2:1"} // it takes its time
	arrived := p.add(slow)
	for range maxPending {
		p.add(&fakeConn{from: "10.0.0.1:1"})
	}
	if slow.closed {
		t.Error("a connection of another address was closed")
	}
	if !greedy[0].closed || !greedy[len(greedy)-1].closed {
		t.Error("the oldest of the address with the most are open")
	}
	arrived()
	if p.conns.Len() != maxPending-1 {
		t.Errorf("%d are pending", p.conns.Len())
	}
}

// fakeConn is a connection that comes from somewhere.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

func TestNew(t *testing.T) {
	t.Parallel()
	host, err := HostKey(filepath.Join(t.TempDir(), "sub", "host"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{nil, {"no key"}} {
		if _, err := New(Config{Keys: lines, HostKey: host}); err == nil {
			t.Errorf("%q: no error", lines)
		}
	}
	file := filepath.Join(t.TempDir(), "host")
	first, err := HostKey(file)
	if err != nil {
		t.Fatal(err)
	}
	second, err := HostKey(file)
	if err != nil || ssh.FingerprintSHA256(first.PublicKey()) != ssh.FingerprintSHA256(second.PublicKey()) {
		t.Errorf("another host key after a restart: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(file, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := HostKey(file); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged one: %v", err)
	}
}
