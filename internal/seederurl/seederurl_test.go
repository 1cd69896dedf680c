package seederurl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestBase(t *testing.T) {
	for said, want := range map[string]string{
		"10.0.0.1":                       "http://10.0.0.1:8080",
		"10.0.0.1:80":                    "http://10.0.0.1:80",
		"seeder.lab":                     "http://seeder.lab:8080",
		"http://10.0.0.1":                "http://10.0.0.1",
		"http://10.0.0.1:8080/":          "http://10.0.0.1:8080",
		"http://seeder/boot/boot.ipxe?x": "http://seeder",
		"https://seeder":                 "", "HTTPS://10.0.0.1:8080": "",
		"fd00::1":                     "http://[fd00::1]:8080",
		"HTTP://10.0.0.1":             "http://10.0.0.1",
		"http://[fd00::1]":            "http://[fd00::1]",
		"fe80::1%eth0":                "http://[fe80::1%25eth0]:8080",
		"http://[fe80::1%25eth0]:80/": "http://[fe80::1%25eth0]:80",
		"séeder":                      "http://s%C3%A9eder:8080",
		"::0%\x00":                    "", "http://[::1%25%00]": "", "http://a%20b": "", "http://\xff": "", "http://a:b:c": "", "::1%a b": "",
		"": "", "ftp://x": "", "http://": "", "http://x:0": "", "http://x:99999": "", "a b": "", "http://u:p@x": "",
	} {
		got, err := Base(said)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Base(%q) = %q, %v; want %q", said, got, err, want)
		}
	}
}

// https is refused with the reason, since it looks right.
func TestBaseRefusesHTTPS(t *testing.T) {
	if _, err := Base("https://seeder"); err == nil || !strings.Contains(err.Error(), "speaks http, not https") {
		t.Errorf("%v", err)
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, refused := net.Dial("tcp", address)
	for why, err := range map[string]error{
		"nothing runs at that port: connection refused": fmt.Errorf("get it: %w", refused),
		"nothing comes back":                            context.DeadlineExceeded,
		"no route to host":                              &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
		"the name seeder.lab is not known":              &net.DNSError{Name: "seeder.lab"},
		"it broke the connection off":                   &net.OpError{Op: "read", Err: syscall.ECONNRESET},
	} {
		if got, ok := Unreachable(err); !ok || !strings.HasPrefix(got, why) || strings.Contains(got, "dial") {
			t.Errorf("%v: %q, %v, want %q", err, got, ok, why)
		}
	}
	if got, ok := Unreachable(errors.New("HTTP 404")); ok {
		t.Errorf("an answer is taken for none: %q", got)
	}
}

func FuzzBase(f *testing.F) {
	f.Add("http://10.0.0.1:8080/boot/boot.ipxe")
	f.Add("[::1]:80")
	f.Fuzz(func(t *testing.T, said string) {
		base, err := Base(said)
		if err != nil {
			return
		}
		if again, err := Base(base); err != nil || again != base {
			t.Errorf("Base(%q) = %q, and of that %q, %v", said, base, again, err)
		}
	})
}
