package kmod

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"pci:v00008086d000015B7sv*sd*bc*sc*i*", "pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00", true},
		{"pci:v00008086d000015B7sv*sd*bc*sc*i*", "pci:v00008086d000015B8sv00001028sd00000738bc02sc00i00", false},
		{"usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00", true},
		{"usb:v0525pA4A2d0[0-4][0-9]*dc*", "usb:v0525pA4A2d0123dc02", true},
		{"usb:v0525pA4A2d0[0-4][0-9]*dc*", "usb:v0525pA4A2d0A23dc02", false},
		{"dmi:*:pn*Book*:*", "dmi:bvnX:bvr1/2 (a/b):pnSurface Book 2:r", true},
		{"virtio:d00000001v*", "virtio:d00000001v00001AF4", true},
		{"virtio:d00000001v*", "virtio:d00000002v00001AF4", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"[!0-9]x", "ax", true},
		{"[!0-9]x", "1x", false},
		{"[", "[", true},
		{"", "", true},
		{"*", "", true},
		{"", "x", false},
		{"****", "anything", true},
	} {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

const someAliases = `# Aliases extracted from modules themselves.
alias pci:v00008086d000015B7sv*sd*bc*sc*i* e1000e
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
alias usb:v*p*d*dc*dsc*dp*ic03isc*ip*in* usbhid
alias acpi*:PNP0C0C:* button
alias cpu:type:x86,ven*fam*mod*:feature:*0081* crc32c_intel
alias platform:intel-vbtn intel_vbtn
alias usb:v0525pA4A2d0[0-4][0-9]*dc* g_ether
alias virtio:d00000001v* virtio_net
alias broken
`

func TestModulesForModalias(t *testing.T) {
	a, err := ParseAliases(strings.NewReader(someAliases))
	if err != nil {
		t.Fatal(err)
	}
	for modalias, want := range map[string][]string{
		"pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00": {"e1000e"},
		"pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30": {"xhci_pci"},
		"acpi:PNP0C0C:": {"button"},
		"cpu:type:x86,ven0000fam0006mod003A:feature:,0000,0081,00A": {"crc32c_intel"},
		"platform:intel_vbtn": {"intel_vbtn"},
		"platform:pcspkr":     nil,
		"":                    nil,
	} {
		if got := a.Modules(modalias); !reflect.DeepEqual(got, want) {
			t.Errorf("modules(%q) = %q, want %q", modalias, got, want)
		}
	}
}

// The real thing as referee: modprobe resolves the same modaliases to the same modules.
func TestAliasesLikeModprobe(t *testing.T) {
	modprobe := need.Command(t, "modprobe", "kmod")
	depmod := need.Command(t, "depmod", "kmod")
	root := t.TempDir()
	dir, conf := filepath.Join(root, "lib/modules/6.1.0"), filepath.Join(root, "aliases.conf")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		conf:                                  strings.ReplaceAll(someAliases, "alias broken\n", ""),
		filepath.Join(dir, "modules.order"):   "",
		filepath.Join(dir, "modules.builtin"): "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(depmod, "-b", root, "6.1.0").CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v\n%s", err, out)
	}
	a, err := ParseAliases(strings.NewReader(someAliases))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{
		"pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00",
		"usb:v0525pA4A2d0123dc02dsc00dp00ic01isc00ip00in00",
		"cpu:type:x86,ven0000fam0006mod003A:feature:,0000,0081,00A",
		"acpi:PNP0C0C:",
		"platform:intel-vbtn",
	} {
		out, err := exec.Command(modprobe, "-C", conf, "-d", root, "-S", "6.1.0", "-R", m).Output()
		if err != nil {
			t.Fatalf("modprobe -R %s: %v", m, err)
		}
		if got, want := a.Modules(m), strings.Fields(string(out)); !reflect.DeepEqual(got, want) {
			t.Errorf("modules(%q) = %q, modprobe says %q", m, got, want)
		}
	}
}

func TestName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/drivers/net/xen-netfront.ko": "xen_netfront", "kernel/fs/ext4/ext4.ko.zst": "ext4", "a.ko.xz": "a", "b-c.ko.gz": "b_c",
	} {
		if got := Name(file); got != want {
			t.Errorf("Name(%q) = %q, want %q", file, got, want)
		}
	}
}
