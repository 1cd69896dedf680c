package arch

import "testing"

func TestParse(t *testing.T) {
	for _, a := range All {
		if got, err := Parse(string(a)); err != nil || got != a {
			t.Errorf("Parse(%q) = %q, %v", a, got, err)
		}
	}
	for _, text := range []string{"", "x86_64", "AMD64", "386"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", text, got)
		}
	}
}

func TestNamesOfUEFI(t *testing.T) {
	for a, want := range map[Arch]string{AMD64: "EFI/BOOT/BOOTX64.EFI", ARM64: "EFI/BOOT/BOOTAA64.EFI"} {
		if got := a.RemovableFile(); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}
