package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Requests as firmware and small clients write them are answered at once: nobody is redirected.
func TestRequestsOfFirmware(t *testing.T) {
	s := newSite(t, nil)
	s.Publish(s.release(hash1))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	const host = "\r\nHost: 10.0.0.1:8080\r\n"
	loader := "efi loader"
	for name, test := range map[string]struct {
		request string
		status  int
		body    string // its beginning
	}{
		"plain":                 {"GET /boot/boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"two slashes":           {"GET //boot/boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"many slashes":          {"GET ///boot//boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"dots":                  {"GET /./boot/x/../boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"escaped slash":         {"GET /boot%2fboot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"escaped slashes":       {"GET %2fboot%2Fboot.ipxe HTTP/1.1" + host, 400, ""}, // no path
		"escaped letters":       {"GET /%62oot/boot%2eipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"backslashes":           {`GET /boot\boot.ipxe HTTP/1.1` + host, 200, "#!ipxe"},
		"a query":               {"GET //boot/boot.ipxe?mac=1 HTTP/1.1" + host, 200, "#!ipxe"},
		"HTTP/1.0":              {"GET //boot/boot.ipxe HTTP/1.0" + host, 200, "#!ipxe"},
		"HTTP/1.0, no Host":     {"GET /boot/boot.ipxe HTTP/1.0\r\n", 200, "#!ipxe"},
		"HTTP/1.1, no Host":     {"GET /boot/boot.ipxe HTTP/1.1\r\n", 400, ""}, // as RFC 9112, section 3.2, demands
		"absolute form":         {"GET http://10.0.0.1:8080/boot/boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"absolute, two slashes": {"GET http://10.0.0.1:8080//boot/boot.ipxe HTTP/1.1" + host, 200, "#!ipxe"},
		"HEAD":                  {"HEAD //boot/boot.ipxe HTTP/1.1" + host, 200, ""},
		"HEAD of a loader":      {"HEAD /boot//snponly.efi HTTP/1.1" + host, 200, ""},
		"loader":                {"GET //boot/snponly.efi HTTP/1.1" + host, 200, loader},
		"range":                 {"GET //boot/snponly.efi HTTP/1.1" + host + "Range: bytes=4-7\r\n", 206, "load"},
		"range to the end":      {"GET //boot/snponly.efi HTTP/1.1" + host + "Range: bytes=4-\r\n", 206, "loader"},
		"range behind the end":  {"GET //boot/snponly.efi HTTP/1.1" + host + "Range: bytes=99-\r\n", 416, ""},
		"range of the script":   {"GET //boot/boot.ipxe HTTP/1.1" + host + "Range: bytes=2-5\r\n", 206, "ipxe"},
		"catalog":               {"GET //catalog.json HTTP/1.1" + host, 200, ""},
		"a system's file":       {"GET /" + catalog.WebSeedPath(hash1) + "tiny//vmlinuz HTTP/1.1" + host, 200, "tiny kernel"},
		"out of the folder":     {"GET /boot/../../secret HTTP/1.1" + host, 404, ""},
		"out of it by escapes":  {"GET /boot/..%2f..%2fsecret HTTP/1.1" + host, 404, ""},
		"out by backslashes":    {`GET /boot/..\..\secret HTTP/1.1` + host, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%sConnection: close\r\n\r\n", test.request)
			method, _, _ := strings.Cut(test.request, " ")
			resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != test.status || !strings.HasPrefix(string(body), test.body) || strings.Contains(string(body), secret) {
				t.Errorf("%s: %q, %v; want %d %q", resp.Status, body, err, test.status, test.body)
			}
			// EDK2 asks for the size by HEAD before anything else, and reserves memory for it.
			if size, err := strconv.Atoi(resp.Header.Get("Content-Length")); test.status == 200 && (err != nil || size < len(loader)) {
				t.Errorf("Content-Length %q", resp.Header.Get("Content-Length"))
			}
		})
	}
}
