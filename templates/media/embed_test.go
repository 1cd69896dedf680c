package mediafiles

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The text explains every key, sets none, and has the line ends that all editors know. (That phase 1 takes each example is tested
// where the reader is, in internal/mediumconf.)
func TestConfig(t *testing.T) {
	text := Config()
	if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) || bytes.Contains(text, []byte("\r\r")) {
		t.Error("a line does not end in CR LF")
	}
	var keys []string
	for _, line := range strings.Split(string(text), "\r\n") {
		if line != "" && line[0] != '#' {
			t.Errorf("%q is set", line)
		}
		if len(line) > 100 {
			t.Errorf("%q is long", line)
		}
		if m := regexp.MustCompile(`^#(\w+): `).FindStringSubmatch(line); m != nil {
			keys = append(keys, m[1])
		}
	}
	want := []string{"seeder", "ip", "gateway", "dns", "vlan", "interface", "system", "timeout", "console", "console", "cmdline"}
	if !slices.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
}
