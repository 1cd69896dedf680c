package media

import (
	"strings"
	"testing"
)

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
