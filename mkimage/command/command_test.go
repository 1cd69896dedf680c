package command

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/cli"
)

func TestExitCodes(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string
	}{
		{"help", []string{"--help"}, cli.ExitOK, "--drivers", ""},
		{"version", []string{"--version"}, cli.ExitOK, "mkimage devel", ""},
		{"completion", []string{"completion", "bash"}, cli.ExitOK, "mkimage", ""},
		{"nothing", nil, cli.ExitUsage, "", "mkimage --help"},
		{"unknown flag", []string{empty, "--quux"}, cli.ExitUsage, "", "--quux"},
		{"drivers", []string{empty, "--drivers", "a b"}, cli.ExitUsage, "", "is not a list of drivers"},
		{"seeder", []string{empty, "--seeder", "here"}, cli.ExitUsage, "", "http://ADDRESS:PORT"},
		{"level", []string{empty, "--compress-level", "10"}, cli.ExitUsage, "", "no compression level 10"},
		{"not a site", []string{empty}, cli.ExitFailed, "", "boottorrent.yaml"},
		{"usb", []string{"usb", "--help"}, cli.ExitOK, "boottorrent.img", ""},
		{"iso", []string{"iso", "--help"}, cli.ExitOK, "boottorrent.iso", ""},
		{"usb without a site", []string{"usb"}, cli.ExitUsage, "", "<dir>"},
		{"no configuration", []string{"usb", empty, "--conf", "/no/such"}, cli.ExitFailed, "", "/no/such"},
		{"not a source", []string{empty, "--source", empty}, cli.ExitFailed, "", "is not a checkout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := Program().Run(context.Background(), c.args, terminal{Out: &out, Err: &err})
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(out.String(), c.out) || !strings.Contains(err.String(), c.err) {
				t.Errorf("prints %q and complains %q, want %q and %q", &out, &err, c.out, c.err)
			}
		})
	}
}
