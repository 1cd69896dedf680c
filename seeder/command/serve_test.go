package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
)

// makeSite makes a site with one system of 16 MiB, served on loopback.
func makeSite(t *testing.T) (dir string, httpPort int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "room")
	if err := site.Init(dir, "Room 12"); err != nil {
		t.Fatal(err)
	}
	httpPort = need.Port(t)
	// What makes a kernel of a file: see Documentation/arch/x86/boot.rst.
	kernel := make([]byte, 16<<20)
	copy(kernel[0x1fe:], "\x55\xaa")
	copy(kernel[0x202:], "HdrS\x0f\x02")
	kernel[0x211], kernel[0x234], kernel[0x236], kernel[0x239] = 1, 1, 3, 8
	for name, body := range map[string][]byte{
		site.ConfigFile: fmt.Appendf(nil, "version: 1\nname: Room 12\ndefault: tiny\nserve: {address: 127.0.0.1}\ndhcp: {mode: off}\n"+
			"ports: {http: %d, tftp: %d, torrent: %d}\n", httpPort, need.Port(t), need.Port(t)),
		"oss/tiny/vmlinuz":     kernel,
		"oss/tiny/config.yaml": []byte("dispname: A tiny system\nmethod: kexec\nkernel: vmlinuz\n"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, httpPort
}

// fails runs a command that must end with exit code 1, and returns what it said.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	if code := Program().Run(t.Context(), args, terminal{Out: io.Discard, Err: &said}); code != cli.ExitFailed {
		t.Errorf("seeder %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, cli.ExitFailed, &said)
	}
	return said.String()
}

// Serve says where it listens and what it offers, is alone on its site, and ends at once when it is told to, also with
// downloads going on.
func TestServe(t *testing.T) {
	dir, port := makeSite(t)
	broken := filepath.Join(dir, site.SystemsDir, "broken", site.SystemFile)
	if err := errors.Join(os.Mkdir(filepath.Dir(broken), 0o755), os.WriteFile(broken, []byte("dispname: Broken\nmethod: kexec\nkernel: linux\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		defer in.Close()
		ended <- Program().Run(ctx, []string{"serve", filepath.Base(dir)}, terminal{Out: in, Err: t.Output()})
	}()

	want := regexp.MustCompile(`^The site "Room 12" is served on
  lo +127\.0\.0\.1/8 +http://127\.0\.0\.1:\d+  DHCP: off  TFTP: \d+  BitTorrent: \d+
  x64 UEFI: by PXE [^;\n]+; by HTTP [^\n]+
and offers 1 system
  tiny  A tiny system  16\.0 MiB  kexec  default
`)
	if said := summaryOf(out); !want.MatchString(said) {
		t.Fatalf("it said:\n%s", said)
	}

	if said := fails(t, "serve", dir); !strings.Contains(said, "another seeder serves this site") {
		t.Errorf("a second seeder of the site said %q", said)
	}
	now, err := daemon.Control{Dir: dir}.Status(ctx)
	if err != nil || len(now.Systems) != 2 || !strings.HasPrefix(strings.Join(now.Systems[0].Problems, ""), broken+":3:9: kernel linux does not exist") {
		t.Errorf("what became of the systems is %+v, %v; want the problem with the whole path %s", now, err, broken)
	}
	if said := fails(t, "check", dir); strings.Count(said, "does not exist") != 1 || !strings.Contains(said, "the running seeder says: broken: left out\n") {
		t.Errorf("check beside the seeder is to say each problem once, and what nodes get; it said:\n%s", said)
	}
	logged, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", port, catalog.PathLog), "application/json",
		strings.NewReader(`{"mac":"52:54:00:00:00:01","boot":"b","lines":["a node's line"]}`))
	if err != nil {
		t.Fatal(err)
	}
	logged.Body.Close()
	var shown bytes.Buffer
	if Program().Run(ctx, []string{"logs", dir, "127.0.0.1", "--no-follow"}, terminal{Out: &shown, Err: t.Output()}); !strings.Contains(shown.String(), "\na node's line\n") {
		t.Errorf("a log was taken with %s, and is shown as %q", logged.Status, &shown)
	}
	checkMachine(t, dir, port)
	resp, err := http.Get(systemURL(t, port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // it is not read
	interrupt()
	select {
	case code := <-ended:
		if code != cli.ExitOK {
			t.Errorf("exit code %d, want 0", code)
		}
	case <-time.After(need.Patience):
		t.Fatal("it does not end")
	}
}

// checkMachine asks what a machine would do that has reported to the running seeder.
func checkMachine(t *testing.T, dir string, port int) {
	t.Helper()
	const mac = "52:54:00:00:00:01"
	said, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", port, catalog.PathReport), "application/json",
		strings.NewReader(`{"mac":"`+mac+`","boot":"b","ip":"127.0.0.1","step":"choose","state":"running","memory_mib":8192,"firmware":"uefi"}`))
	if err != nil {
		t.Fatal(err)
	}
	said.Body.Close()
	var shown bytes.Buffer
	code := Program().Run(t.Context(), []string{"check", dir, "--machine", mac, "--fact", "firmware=bios"}, terminal{Out: &shown, Err: t.Output()})
	for _, want := range []string{mac + ": it shows the menu, and starts tiny after 10 seconds\n", "\nknown from its last report: ip 127.0.0.1, firmware bios, memory 8.0 GiB, secure_boot false\n",
		"group +none +no group matches", "default +tiny +the site"} {
		if code != cli.ExitOK || !regexp.MustCompile(want).MatchString(shown.String()) {
			t.Errorf("check --machine, which ended with %d, says nothing of %q:\n%s", code, want, &shown)
		}
	}
}

// summaryOf reads what serve says when it is up: everything to the last system that it says it offers, or to the end.
func summaryOf(out io.Reader) (said string) {
	lines := bufio.NewScanner(out)
	for left := -1; left != 0 && lines.Scan(); {
		said += lines.Text() + "\n"
		if _, err := fmt.Sscanf(lines.Text(), "and offers %d system", &left); err != nil && left > 0 {
			left--
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return said
}

// Without TFTP's port, which somebody else has, everything else is served, and the self-test says what is missing.
func TestServeWithoutTFTP(t *testing.T) {
	dir, port := makeSite(t)
	config, err := os.ReadFile(filepath.Join(dir, site.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	number := taken.LocalAddr().(*net.UDPAddr).Port
	config = regexp.MustCompile(`tftp: \d+`).ReplaceAll(config, fmt.Appendf(nil, "tftp: %d", number))
	if err := os.WriteFile(filepath.Join(dir, site.ConfigFile), config, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, in := io.Pipe()
	log, logged := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		defer func() { in.Close(); logged.Close() }()
		ended <- Program().Run(ctx, []string{"serve", dir}, terminal{Out: in, Err: logged})
	}()
	until := func(r io.Reader, text string) {
		lines := bufio.NewScanner(r)
		for lines.Scan() && !strings.Contains(lines.Text(), text) {
		}
		go func() { _, _ = io.Copy(io.Discard, r) }()
	}
	summarized := make(chan struct{})
	go func() { until(out, "DHCP: off  TFTP: none, see the log  BitTorrent"); close(summarized) }()
	want := fmt.Sprintf("served without TFTP: UDP port %d of 127.0.0.1: ", number)
	until(log, want)
	<-summarized
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/api/selftest", port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if found, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(found), want) {
		t.Errorf("the self-test found %s, %v; want %q", found, err, want)
	}
	interrupt()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

// systemURL finds the file of the only system on that system's page for people.
func systemURL(t *testing.T, port int) string {
	t.Helper()
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	resp, err := http.Get(base + "/system/tiny")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`/systems/[0-9a-f]{40}/tiny/vmlinuz`).Find(page)
	if path == nil {
		t.Fatalf("the page leads to no file:\n%s", page)
	}
	return base + string(path)
}

// What keeps the seeder from serving is said before anything is hashed.
func TestServeRefuses(t *testing.T) {
	dir, port := makeSite(t)
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	said := fails(t, "serve", dir)
	l.Close()
	for _, want := range []string{"HTTP: ", "address already in use", "ports.http in boottorrent.yaml"} {
		if !strings.Contains(said, want) {
			t.Errorf("with its port in use it said %q, without %q", said, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, site.SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	said = fails(t, "serve", dir)
	if !strings.Contains(said, site.SecretKeyFile+" does not exist; restore it") || strings.Contains(said, "hashing") {
		t.Errorf("without its secret key it said %q", said)
	}
}
