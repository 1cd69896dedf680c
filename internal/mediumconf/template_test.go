package mediumconf

import (
	"bytes"
	"regexp"
	"testing"

	mediafiles "github.com/boottorrent/boottorrent/templates/media"
)

// The text that mkimage puts on media says nothing as it is, and everything with every # before a key removed.
func TestTemplate(t *testing.T) {
	text := mediafiles.Config()
	if c, problems := Parse(text); len(problems) > 0 || c.Seeder != "" || c.Timeout != nil || c.Cmdline != "" || len(c.Consoles) > 0 {
		t.Errorf("as it is: %+v, %v", c, problems)
	}
	all := regexp.MustCompile(`(?m)^#(\w+: )`).ReplaceAll(text, []byte("$1"))
	if bytes.Equal(all, text) {
		t.Fatal("it has no keys")
	}
	c, problems := Parse(all)
	for _, p := range problems {
		t.Error(p)
	}
	if c.Seeder == "" || !c.Static.IsValid() || !c.Gateway.IsValid() || len(c.DNS) == 0 || c.VLAN == 0 || c.Interface == "" || c.System == "" ||
		c.Timeout == nil || len(c.Consoles) != 2 || c.Cmdline == "" {
		t.Errorf("a key is not in the text: %+v", c)
	}
}
