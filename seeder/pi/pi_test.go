package pi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/seeder/tftp"
)

var local = netip.MustParseAddr("10.77.0.1")

// aSite is a site whose folder pi has files for all Pis, for one, and for those that were told to ask in lab/.
func aSite(t *testing.T) Files {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"image/arm64/vmlinuz": "kernel", "boottorrent.key": "secret", "keys/db.key": "secret", "keys.old/db.key": "secret", ".boottorrent/counter": "5",
		"pi/config.txt": "for all", "pi/cmdline.txt": "console=tty0 a=\"b  c\"\n", "pi/start4.elf": "firmware", "pi/overlays/vc4.dtbo": "overlay",
		"pi/9ffefdef/config.txt": "for one", "pi/9ffefdef/cmdline.txt": "bt.seeder=http://10.0.0.9:80\n", "pi/lab/README": "of the lab",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"vmlinuz": "../image/arm64/vmlinuz", "secret": "../boottorrent.key", "site": ".."} {
		if err := os.Symlink(target, filepath.Join(dir, "pi", link)); err != nil {
			t.Fatal(err)
		}
	}
	return Files{Dir: dir, HTTPPort: 8080}
}

// The names are those that Pis ask for; what they get is the file for that Pi, or the one for all.
func TestOpen(t *testing.T) {
	f := aSite(t)
	for name, want := range map[string]string{
		"a1b2c3d4/config.txt":            "for all",
		"a1b2c3d4//config.txt":           "for all", // a Pi 5 asks so the second time
		"dc-a6-32-01-36-c2/config.txt":   "for all",
		"config.txt":                     "for all",
		"9ffefdef/config.txt":            "for one",
		"9ffefdef//config.txt":           "for one",
		"9ffefdef/start4.elf":            "firmware",
		"a1b2c3d4/vmlinuz":               "kernel",
		"a1b2c3d4/overlays/vc4.dtbo":     "overlay",
		"overlays/vc4.dtbo":              "overlay",
		"lab/start4.elf":                 "firmware",
		"lab/readme":                     "",
		"a1b2c3d4/pieeprom.sig":          "",
		"a1b2c3d4":                       "",
		"a1b2c3d4/overlays":              "",
		"other/config.txt":               "",
		"a1b2c3d4/../../boottorrent.key": "",
		"../boottorrent.key":             "",
		"a1b2c3d4/../boottorrent.key":    "",
		"/etc/passwd":                    "",
		"secret":                         "",
		"a1b2c3d4/secret":                "",
		"site/boottorrent.key":           "",
		"site/keys/db.key":               "",
		"site/keys.old/db.key":           "",
		"site/.boottorrent/counter":      "",
		"site/image/arm64/vmlinuz":       "kernel",
		"":                               "",
		"a1b2c3d4/config.txt\x00":        "",
	} {
		file, err := f.Open(name)
		if want == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: %v, want that there is no such file", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(file); string(got) != want || err != nil {
			t.Errorf("%q is %q, %v, want %q", name, got, err, want)
		}
		file.Close()
	}
}

func TestCmdline(t *testing.T) {
	f := aSite(t)
	const all = `console=tty0 a="b  c" bt.seeder=http://10.77.0.1:8080`
	for name, want := range map[string]string{
		"a1b2c3d4/cmdline.txt":          all + "\n",
		"a1b2c3d4//cmdline.txt":         all + "\n",
		"cmdline.txt":                   all + "\n",
		"dc-a6-32-01-36-c2/cmdline.txt": all + " BOOTIF=01-dc-a6-32-01-36-c2\n",
		"9ffefdef/cmdline.txt":          "bt.seeder=http://10.0.0.9:80\n",
	} {
		if got, ok := f.Document(name, local); string(got) != want || !ok {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"config.txt", "a1b2c3d4/config.txt", "other/cmdline.txt", "../cmdline.txt"} {
		if got, ok := f.Document(name, local); ok {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got, ok := (Files{Dir: t.TempDir()}).Document("a1b2c3d4/cmdline.txt", local); ok {
		t.Errorf("without a folder it is %q", got)
	}
}

func TestThereAndProbed(t *testing.T) {
	f := aSite(t)
	if !f.There() || !f.Probed("a1b2c3d4/pieeprom.sig") || f.Probed("grub/x86_64-efi/command.lst") || f.Probed("a1b2c3d4") {
		t.Error("with a folder")
	}
	if none := (Files{Dir: t.TempDir()}); none.There() || none.Probed("a1b2c3d4/pieeprom.sig") {
		t.Error("without a folder")
	}
}

// What a Pi 5 asks the TFTP server for, in the order that tinkerbell's documentation gives: what is there comes, and of what is not there
// nobody is warned.
func TestByTFTP(t *testing.T) {
	f := aSite(t)
	var log bytes.Buffer
	port := need.Port(t)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	s := tftp.New(tftp.Config{Listen: []netip.AddrPort{at}, Open: f.Open, Document: f.Document, Probed: f.Probed, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	for _, ask := range []struct{ name, want string }{
		{"a1b2c3d4/pieeprom.sig", ""}, {"a1b2c3d4/config.txt", "for all"}, {"a1b2c3d4//config.txt", "for all"}, {"a1b2c3d4/armstub8-2712.bin", ""},
		{"a1b2c3d4/cmdline.txt", "console=tty0 a=\"b  c\" bt.seeder=http://127.0.0.1:8080\n"}, {"a1b2c3d4/vmlinuz", "kernel"},
	} {
		if got := get(t, at, ask.name); got != ask.want {
			t.Errorf("%s is %q, want %q", ask.name, got, ask.want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log has warnings:\n%s", &log)
	}
}

// get reads a file of less than a block by TFTP (RFC 1350); it is empty for an error.
func get(t *testing.T, server netip.AddrPort, name string) string {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x01"+name+"\x00octet\x00"), server); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 1024)
	n, from, err := conn.ReadFromUDPAddrPort(packet)
	if err != nil {
		t.Fatal(name, err)
	}
	if binary.BigEndian.Uint16(packet) != 3 {
		return ""
	}
	if _, err := conn.WriteToUDPAddrPort([]byte{0, 4, 0, 1}, from); err != nil {
		t.Fatal(err)
	}
	return string(packet[4:n])
}
