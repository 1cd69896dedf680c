package command

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Serving a site of the original makes its keys once, says so in one line, and names the original's keys in its errors. The port of its
// tracker is the one of HTTP.
func TestServeOriginal(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dir := t.TempDir()
	for name, body := range map[string]string{
		"Boottorrent.yaml": fmt.Sprintf(`boottorrent: {version: 0, timeout: 5, default_os: run, seed_time: 0, host_ip: 127.0.0.1}
dnsmasq: {enable_dhcp: False, enable_tftp: False, interface: lo, dhcp_range: "127.0.0.50,127.0.0.90,12h"}
opentracker: {enable: True, port: %s}
aria2: {bt_enable_lpd: False, enable_peer_exchange: True, console_log_level: error}
`, port),
		"oss/run/config.yaml": "dispname: A script\nmethod: bin\nbin: run.sh\n",
		"oss/run/run.sh":      "#!/bin/sh\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, wantOut := range []string{"boottorrent.key and boottorrent.pub are made, with which the catalog is signed; keep them, and the first one secret\n", ""} {
		var out, said bytes.Buffer
		code := Program().Run(t.Context(), []string{"serve", dir}, terminal{Out: &out, Err: &said})
		if code != cli.ExitFailed || !strings.Contains(said.String(), "HTTP: ") || !strings.Contains(said.String(), "set another one with opentracker.port in Boottorrent.yaml") {
			t.Errorf("with its port in use: exit code %d\n%s", code, &said)
		}
		if out.String() != wantOut {
			t.Errorf("it said %q, want %q", &out, wantOut)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, site.SecretKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
}
