package tftp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	packag "pack.ag/tftp"
)

func TestForeignClients(t *testing.T) {
	tftp := need.Command(t, "tftp", "tftp-hpa")
	curl := need.Command(t, "curl", "curl")
	clients := map[string]func(t *testing.T, addr *net.UDPAddr, name string) ([]byte, error){
		"tftp-hpa": func(t *testing.T, addr *net.UDPAddr, name string) ([]byte, error) {
			out := filepath.Join(t.TempDir(), "out")
			msg, err := exec.Command(tftp, "-m", "binary", addr.IP.String(), strconv.Itoa(addr.Port), "-c", "get", name, out).CombinedOutput()
			if err == nil && bytes.Contains(msg, []byte("rror")) {
				err = errors.New(string(msg))
			}
			if err != nil {
				return nil, err
			}
			return os.ReadFile(out)
		},
		"curl":                        curlGet(curl),
		"curl, 8 bytes":               curlGet(curl, "--tftp-blksize", "8"),
		"curl, 1400 bytes":            curlGet(curl, "--tftp-blksize", "1400"),
		"curl, 60000 bytes":           curlGet(curl, "--tftp-blksize", "60000"),
		"curl, no options":            curlGet(curl, "--tftp-no-options"),
		"pack.ag, window 4":           packagGet(packag.ClientWindowsize(4), packag.ClientBlocksize(1432)),
		"pack.ag, window 9":           packagGet(packag.ClientWindowsize(9), packag.ClientBlocksize(512)),
		"pack.ag, window 64, reduced": packagGet(packag.ClientWindowsize(64)),
	}
	for name, get := range clients {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 511, 512, 513, 100_000, 4 * 1432 * 3} {
				if size > 1000 && strings.Contains(name, "8 bytes") || size == 0 && strings.HasPrefix(name, "curl") {
					continue // too long; curl takes tsize 0 for an error
				}
				want := randomBytes(size)
				addr := serve(t, want)
				got, err := get(t, addr, "/FILE.efi")
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes: got %d, %v", size, len(got), err)
				}
			}
		})
	}
	addr := serve(t, nil)
	for name, get := range clients {
		for _, file := range []string{"passwd", "../../../../etc/passwd", "/etc/passwd", "missing.efi", "dir"} {
			if got, err := get(t, addr, file); err == nil && len(got) > 0 {
				t.Errorf("%s got %q: %q", name, file, got)
			}
		}
	}
}

func curlGet(curl string, args ...string) func(*testing.T, *net.UDPAddr, string) ([]byte, error) {
	return func(t *testing.T, addr *net.UDPAddr, name string) ([]byte, error) {
		args := append(args, "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", "--path-as-is",
			"tftp://"+addr.String()+"/"+strings.TrimPrefix(name, "/"))
		return exec.Command(curl, args...).Output()
	}
}

func packagGet(opts ...packag.ClientOpt) func(*testing.T, *net.UDPAddr, string) ([]byte, error) {
	return func(t *testing.T, addr *net.UDPAddr, name string) ([]byte, error) {
		c, err := packag.NewClient(opts...)
		if err != nil {
			return nil, err
		}
		resp, err := c.Get("tftp://" + addr.String() + "/" + strings.TrimPrefix(name, "/"))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(resp)
	}
}
