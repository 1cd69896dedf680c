package tftp

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What machines ask for, packet by packet (testdata/requests.txt), and what they get (testdata/answers.txt): the name of the file, or
// the error, and what the log says of it at which level.
func TestCapturedRequests(t *testing.T) {
	dir := t.TempDir()
	served := map[string]string{}
	for _, name := range []string{"shimx64.efi", "grubx64.efi", "mmx64.efi", "snponly.efi", "ipxe.efi", "undionly.kpxe", "x86_64-sb/snponly-shim.efi",
		"x86_64-sb/snponly.efi", "arm64-sb/ipxe-shim.efi", "arm64-sb/ipxe.efi"} {
		served[name] = filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(served[name], []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document := func(name string, local netip.Addr) ([]byte, bool) {
		return fmt.Appendf(nil, "%s from %s", name, local), name == "grub/grub.cfg" || strings.HasPrefix(name, "boot/") && !strings.HasSuffix(name, ".efi")
	}
	requests, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	var server *Server
	for line := range strings.Lines(string(requests)) {
		if strings.HasPrefix(line, "#") {
			// Each is another machine, at the same address.
			server = New(Config{Files: files(served), Document: document, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				Level: slog.LevelDebug, ReplaceAttr: withoutTimes,
			}))})
			out.WriteString(line)
			continue
		}
		_, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
		packet, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if packet[1] == opError {
			continue // it went with the request before
		}
		log.Reset()
		got := server.exchange(t, packet, strings.Contains(packet, "tsize") && strings.Contains(packet, "shim"))
		fmt.Fprintf(&out, "%.60q: %s\n%s", strings.Split(packet[2:], "\x00")[0], got, log.String())
	}
	const golden = "testdata/answers.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("%s, line %d, of %d and %d:\n got %q\nwant %q", golden, i+1, len(a), len(b), a[i:min(i+1, len(a))], b[i:min(i+1, len(b))])
		}
	}
}

func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "seconds" || a.Key == "client" {
		return slog.Attr{}
	}
	return a
}

// exchange sends a request to the server and takes the answer, as the machine does: it acknowledges, or ends the transfer with an
// error when it has the file's size. It returns the content, or what the server answered instead, when the transfer has ended.
func (s *Server) exchange(t *testing.T, packet string, abort bool) (got string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := dial(t, conn.LocalAddr().(*net.UDPAddr))
	var transfers sync.WaitGroup
	defer transfers.Wait()
	s.take(t.Context(), conn, c.conn.LocalAddr().(*net.UDPAddr).AddrPort(), []byte(packet), &transfers)
	for {
		answer := c.read()
		switch binary.BigEndian.Uint16([]byte(answer)) {
		case opError:
			return fmt.Sprintf("error %d %q", answer[3], answer[4:len(answer)-1])
		case opOACK:
			if abort {
				c.send("\x00\x05\x00\x08User aborted the transfer\x00")
				return fmt.Sprintf("options %q", answer[2:])
			}
			c.ack(0)
		case opData:
			c.ack(binary.BigEndian.Uint16([]byte(answer[2:])))
			return strconv.Quote(answer[4:])
		}
	}
}
