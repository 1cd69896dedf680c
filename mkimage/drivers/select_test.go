package drivers

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
)

var update = flag.Bool("update", false, "write the golden files")

// testModules is a small kernel: with dashes and underscores, compressed modules, libraries and PHYs.
var testModules = map[string][]string{
	"drivers/usb/core/usbcore.ko":                     {"depends=usb-common", "alias=usbcore-alias"},
	"drivers/usb/common/usb-common.ko":                {"depends="},
	"drivers/usb/host/xhci-hcd.ko":                    {"depends=usbcore,usb-common"},
	"drivers/usb/host/xhci-pci.ko.xz":                 {"depends=xhci-hcd,usbcore", "alias=pci:v*d*sv*sd*bc0Csc03i30*"},
	"drivers/usb/host/ehci-pci.ko":                    {"depends=usbcore"},
	"drivers/usb/host/uhci-hcd.ko":                    {"depends=usbcore", "softdep=pre: ehci_pci"},
	"drivers/net/ethernet/realtek/r8169.ko.zst":       {"depends=libphy", "softdep=pre: realtek", "alias=pci:v000010ECd00008168sv*", "firmware=rtl_nic/a.fw", "firmware=rtl_nic/b.fw"},
	"drivers/net/phy/libphy.ko":                       {"depends="},
	"drivers/net/phy/realtek.ko":                      {"depends=libphy", "alias=mdio:0000*"},
	"drivers/net/ethernet/broadcom/tg3.ko":            {"depends=libphy", "alias=pci:v000014E4d00001657sv*"},
	"drivers/net/phy/broadcom.ko":                     {"depends=libphy"},
	"drivers/net/ethernet/broadcom/bnx2x/bnx2x.ko":    {"depends=libcrc32c", "firmware=bnx2x/x.fw"},
	"drivers/net/ethernet/sfc/sfc.ko":                 {"depends="},
	"lib/libcrc32c.ko":                                {"softdep=pre: crc32c"},
	"crypto/crc32c_generic.ko":                        {"alias=crypto-crc32c"},
	"sound/snd.ko":                                    {"depends="},
	"drivers/net/ethernet/mellanox/mlx4/mlx4_en.ko":   {"depends=mlx4_core"},
	"drivers/net/ethernet/mellanox/mlx4/mlx4_core.ko": {"softdep=post: mlx4_en"},
	"drivers/net/ethernet/intel/e1000e/e1000e.ko":     {"depends=ptp"},
}

const builtinPTP = "kernel/drivers/ptp/ptp.ko"

func names(s *Set) []string {
	var n []string
	for _, m := range s.Modules {
		n = append(n, m.Name)
	}
	slices.Sort(n)
	return n
}

// basicNames are what the small kernel has of the basics.
var basicNames = []string{"ehci_pci", "uhci_hcd", "usb_common", "usbcore", "xhci_hcd", "xhci_pci"}

func TestSelect(t *testing.T) {
	dir := writeTree(t, testModules, builtinPTP)
	firmware := t.TempDir()
	writeFile(t, filepath.Join(firmware, "bnx2x/x.fw"), []byte("firmware"))
	common := []string{"broadcom", "e1000e", "libphy", "mlx4_core", "mlx4_en", "r8169", "realtek", "tg3"}
	for _, c := range []struct {
		selection, firmware string
		want                []string
	}{
		{"common", "", common},
		{"common", firmware, append([]string{"bnx2x", "crc32c_generic", "libcrc32c"}, common...)},
		{"common,sfc", "", append([]string{"sfc"}, common...)},
		{"all", "", append([]string{"sfc"}, common...)},
		{"r8169", "", []string{"libphy", "r8169", "realtek"}},
		{"tg3", "", []string{"broadcom", "libphy", "tg3"}},
		{"mlx4-en", "", []string{"mlx4_core", "mlx4_en"}},
		{"bnx2x", "", []string{"bnx2x", "crc32c_generic", "libcrc32c"}},
		{"ptp", "", nil},
	} {
		t.Run(c.selection+" "+filepath.Base(c.firmware), func(t *testing.T) {
			selection, err := ParseSelection(c.selection)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Select(dir, "6.1.0", arch.AMD64, selection, c.firmware)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(slices.Concat(basicNames, c.want)))
			if got := names(s); !slices.Equal(got, want) {
				t.Errorf("modules %v, want %v", got, want)
			}
		})
	}
}

// TestSelectSaysWhatIsMissing: what a node will lack has to be known before it stands in the room.
func TestSelectSaysWhatIsMissing(t *testing.T) {
	dir, firmware := writeTree(t, testModules, builtinPTP), t.TempDir()
	writeFile(t, filepath.Join(firmware, "rtl_nic/a.fw.xz"), compress(t, ".xz", []byte("firmware a")))
	s, err := Select(dir, "6.1.0", arch.AMD64, Selection{Common}, firmware)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Firmware) != 1 || s.Firmware[0].Path != "rtl_nic/a.fw" || string(s.Firmware[0].Content) != "firmware a" {
		t.Errorf("firmware %v, want rtl_nic/a.fw, uncompressed", s.Firmware)
	}
	if want := []MissingFirmware{{Path: "rtl_nic/b.fw", Module: "r8169"}}; !slices.Equal(s.MissingFirmware, want) {
		t.Errorf("missing firmware %v, want %v", s.MissingFirmware, want)
	}
	if want := []string{"bnx2x"}; !slices.Equal(s.WithoutFirmware, want) {
		t.Errorf("left out without firmware: %v, want %v", s.WithoutFirmware, want)
	}
	if !slices.Contains(s.Absent, "igb") || slices.Contains(s.Absent, "r8169") {
		t.Errorf("absent: %v, want igb there and r8169 not", s.Absent)
	}
	if want := map[string]string{"ptp": builtinPTP}; !maps.Equal(s.Builtin, want) {
		t.Errorf("built in: %v, want %v", s.Builtin, want)
	}
}

func TestSelectErrors(t *testing.T) {
	dir := writeTree(t, testModules)
	needsMissing := writeTree(t, map[string][]string{"a.ko": {"depends=b"}})
	noModule := writeTree(t, nil)
	writeFile(t, filepath.Join(noModule, "kernel/a.ko"), []byte("no ELF"))
	empty := writeTree(t, nil)
	writeFile(t, filepath.Join(empty, "kernel/readme"), nil)
	for _, c := range []struct{ name, dir, selection, wrong string }{
		{"unknown", dir, "quux", "no module quux"},
		{"misspelt", dir, "mlx4", "is it one of mlx4_core, mlx4_en?"},
		{"a dependency is missing", needsMissing, "a", "a needs b: the kernel has no module b"},
		{"not a module", noModule, "a", "is not a kernel module"},
		{"no modules", empty, "common", "there is no module"},
		{"no folder", t.TempDir(), "common", "lib/modules/VERSION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Select(c.dir, "6.1.0", arch.AMD64, Selection{c.selection}, "")
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}

func TestParseSelection(t *testing.T) {
	for text, want := range map[string]Selection{
		"common": {"common"}, "all": {"all"}, "e1000e, r8169": {"e1000e", "r8169"},
		"": nil, "a,,b": nil, "../x": nil, "a b": nil,
	} {
		got, err := ParseSelection(text)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

// TestIndex compares the index files with golden ones.
func TestIndex(t *testing.T) {
	dir, firmware := writeTree(t, testModules, builtinPTP), t.TempDir()
	writeFile(t, filepath.Join(firmware, "bnx2x/x.fw"), nil)
	s, err := Select(dir, "6.1.0", arch.AMD64, Selection{Common}, firmware)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range s.index() {
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			writeFile(t, golden, got)
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestIndexHasNoCycles: who follows modules.dep would not come to an end.
func TestIndexHasNoCycles(t *testing.T) {
	dir := writeTree(t, map[string][]string{
		"a.ko": {"depends=b"},
		"b.ko": {"softdep=pre: a c"},
		"c.ko": {"softdep=pre: b"},
	})
	s, err := Select(dir, "6.1.0", arch.AMD64, Selection{"a"}, "")
	if err != nil {
		t.Fatal(err)
	}
	graph := s.graph()
	for name := range graph.path {
		if slices.Contains(graph.closure(name), name) {
			t.Errorf("%s depends on itself", name)
		}
		for _, d := range graph.closure(name) {
			if slices.Contains(graph.closure(d), name) {
				t.Errorf("%s and %s depend on each other", name, d)
			}
		}
	}
}
