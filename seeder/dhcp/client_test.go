package dhcp

import (
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

func TestUserClasses(t *testing.T) {
	for raw, want := range map[string][]string{
		"":                     nil,
		"iPXE":                 {"iPXE"},
		"\x04iPXE":             {"iPXE"},
		"\x03abc\x04iPXE":      {"abc", "iPXE"},
		"\x04iPX":              {"\x04iPX"},
		"\x00":                 {"\x00"},
		"\x04iPXE\x00":         {"\x04iPXE\x00"},
		"\x04iPXE\x09too long": {"\x04iPXE\x09too long"},
	} {
		if got := userClasses([]byte(raw)); !slices.Equal(got, want) {
			t.Errorf("userClasses(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestIdentify(t *testing.T) {
	user := func(raw string) dhcpv4.Modifier {
		return opt(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte(raw)))
	}
	features := func(raw ...byte) dhcpv4.Modifier { return opt(dhcpv4.OptGeneric(dhcpv4.OptionEtherboot, raw)) }
	for _, test := range []struct {
		name string
		mods []dhcpv4.Modifier
		kind kind
		arch iana.Arch
	}{
		{"no class", nil, plain, 0},
		{"another class", []dhcpv4.Modifier{class("dhcpcd-9")}, plain, 0},
		{"BIOS", []dhcpv4.Modifier{firmware(pxeBIOS, 0)}, pxe, 0},
		{"class only", []dhcpv4.Modifier{class("PXEClient:Arch:00007:UNDI:003016")}, pxe, 7},
		{"list of architectures", []dhcpv4.Modifier{class("PXEClient"), opt(dhcpv4.OptClientArch(6, 9))}, pxe, 9},
		{"garbled option 93", []dhcpv4.Modifier{class(pxeBIOS), opt(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{7}))}, pxe, 0},
		{"UEFI HTTP", []dhcpv4.Modifier{firmware("HTTPClient:Arch:00016:UNDI:003001", 16)}, httpBoot, 16},
		{"iPXE", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("iPXE")}, ipxe, 0},
		{"iPXE as in RFC 3004", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("\x04iPXE")}, ipxe, 0},
		{"iPXE by its options", []dhcpv4.Modifier{firmware(pxeBIOS, 0), features(0x13, 1, 1, 0x18, 1, 1)}, ipxe, 0},
		{"iPXE, garbled options", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("iPXE"), features(0x13, 9, 1)}, ipxe, 0},
		{"iPXE without HTTP", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("iPXE"), features(0x15, 1, 1, 0x18, 1, 1)}, pxe, 0},
		{"iPXE without Linux", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("iPXE"), features(0x13, 1, 1)}, pxe, 0},
		{"iPXE on UEFI", []dhcpv4.Modifier{firmware("PXEClient", 7), user("iPXE"), features(0x13, 1, 1, 0x24, 1, 1)}, ipxe, 7},
		{"gPXE", []dhcpv4.Modifier{firmware(pxeBIOS, 0), user("gPXE"), features(0x13, 1, 1, 0x18, 1, 1)}, pxe, 0},
		{"class with a NUL", []dhcpv4.Modifier{class("PXEClient:Arch:00007\x00")}, pxe, 7},
		{"PXEClient and nothing else", []dhcpv4.Modifier{class("PXEClient")}, pxe, 0},
		{"iPXE and nothing else", []dhcpv4.Modifier{class("PXEClient"), user("iPXE")}, ipxe, 0},
		{"HTTPClient and nothing else", []dhcpv4.Modifier{class("HTTPClient")}, httpBoot, 16},
		{"GUID without its type", []dhcpv4.Modifier{firmware(pxeBIOS, 0), opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, testGUID[1:]))}, pxe, 0},
		{"GUID of nothing but zeroes", []dhcpv4.Modifier{firmware(pxeBIOS, 0), opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 17)))}, pxe, 0},
		{"phase 1", []dhcpv4.Modifier{class("BootTorrent/1")}, phase1, 0},
	} {
		c := identify(request(dhcpv4.MessageTypeDiscover, test.mods...))
		if c.kind != test.kind || c.arch != test.arch || c.pi {
			t.Errorf("%s: %s %s, want %s %s", test.name, c.kind, c.archName(), test.kind, test.arch)
		}
	}
}

func FuzzUserClasses(f *testing.F) {
	for _, s := range []string{"", "iPXE", "\x04iPXE", "\x03abc\x04iPXE", "\x04iPX", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		classes := userClasses(raw)
		if (len(classes) == 0) != (len(raw) == 0) {
			t.Errorf("%q became %q", raw, classes)
		}
		// What reads as a list must be made of all the bytes; anything else is one bare string.
		n := 0
		for _, c := range classes {
			n += 1 + len(c)
		}
		if n != len(raw) && !(len(classes) == 1 && classes[0] == string(raw)) && len(raw) > 0 {
			t.Errorf("%q became %q", raw, classes)
		}
	})
}
