package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string
	}{
		{"help", []string{"--help"}, exitOK, "--drivers", ""},
		{"version", []string{"--version"}, exitOK, "mkimage devel", ""},
		{"completion", []string{"completion", "bash"}, exitOK, "mkimage", ""},
		{"nothing", nil, exitUsage, "", "mkimage --help"},
		{"unknown flag", []string{empty, "--quux"}, exitUsage, "", "--quux"},
		{"drivers", []string{empty, "--drivers", "a b"}, exitUsage, "", "is not a list of drivers"},
		{"seeder", []string{empty, "--seeder", "here"}, exitUsage, "", "http://ADDRESS:PORT"},
		{"level", []string{empty, "--compress-level", "10"}, exitUsage, "", "no compression level 10"},
		{"not a site", []string{empty}, exitFailed, "", "boottorrent.yaml"},
		{"not a source", []string{empty, "--source", empty}, exitFailed, "", "is not a checkout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := run(context.Background(), c.args, terminal{Out: &out, Err: &err})
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(out.String(), c.out) || !strings.Contains(err.String(), c.err) {
				t.Errorf("prints %q and complains %q, want %q and %q", &out, &err, c.out, c.err)
			}
		})
	}
}
