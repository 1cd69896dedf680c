package media

import "testing"

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
