package drivers

import (
	"slices"
	"testing"
)

func TestOrdered(t *testing.T) {
	dir := writeTree(t, testModules, builtinPTP)
	modules, err := Ordered(dir, []string{"xhci-pci", "no_such_module", "mlx4_en", "e1000e", "usbcore", "r8169"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range modules {
		got = append(got, m.Name)
		if len(m.Content) == 0 {
			t.Errorf("%s has no content", m.Name)
		}
	}
	want := []string{"usb_common", "usbcore", "xhci_hcd", "xhci_pci", "mlx4_core", "mlx4_en", "e1000e", "libphy", "r8169"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
