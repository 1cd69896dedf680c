package media

import (
	"strings"
	"testing"
)

func TestGRUBWords(t *testing.T) {
	for cmdline, want := range map[string]string{
		"loglevel=5  console=ttyS0,115200": `'loglevel=5' 'console=ttyS0,115200'`,
		`a="x y" "b=1 2"`:                  `'a=x y' 'b=1 2'`,
		"root=$x;reboot {a} #c":            `'root=$x;reboot' '{a}' '#c'`,
		"it's":                             `'it'\''s'`,
		"":                                 "",
	} {
		if got := grubWords(cmdline); got != want {
			t.Errorf("%s becomes %s, want %s", cmdline, got, want)
		}
	}
}

// A site that shows guests on screens gets its picture from media as well; where the card has none of these modes, and in other sites, it
// is text.
func TestScriptAsksForAPicture(t *testing.T) {
	for graphics, want := range map[bool]string{true: "1024x768x32,1024x768x24,1024x768x16,text", false: "text"} {
		script := Contents{Cmdline: "quiet", Graphics: graphics}.script("search\n")
		set, linux := strings.Index(script, "set gfxpayload="+want+"\n"), strings.Index(script, "\nlinux ")
		if set < 0 || linux < set {
			t.Errorf("with a picture %v the mode is not set before the kernel is loaded:\n%s", graphics, script)
		}
	}
}
