package bootname

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// find is Find with "~" in front of names that were mended.
func find(served map[string]string, asked, before string) string {
	name, mended := Find(served, asked, before)
	if mended {
		return "~" + name
	}
	return name
}

func names(all ...string) map[string]string {
	m := map[string]string{}
	for _, name := range all {
		m[name] = "/" + name
	}
	return m
}

func TestFind(t *testing.T) {
	served := names("undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe.efi.old", "a/b", "BOOTX64.EFI")
	for asked, want := range map[string]string{
		"undionly.kpxe": "undionly.kpxe", "/undionly.kpxe": "undionly.kpxe", `\UNDIONLY.KPXE`: "undionly.kpxe", "//a/b": "a/b", `\a\b`: "a/b", "a//b": "a/b",
		"bootx64.efi":       "BOOTX64.EFI",
		"undionly.kpxe\xff": "~undionly.kpxe", "undionly.kpxea\x11": "~undionly.kpxe", "undionly.kpxea": "~undionly.kpxe",
		"snponly.efi\xff\x00": "~snponly.efi", "snponly.efi\u00ff": "~snponly.efi", "snponly.efi ": "~snponly.efi", "/SNPONLY.EFI\xffgarbage": "~snponly.efi",
		"undionly.kpxea/\x11": "~undionly.kpxe", "ipxe.efi.oldx": "~ipxe.efi.old", "ipxe.efi\x06": "~ipxe.efi",
		"undionly.kpx": "~undionly.kpxe", "snponl": "~snponly.efi",
		"/tftpboot/undionly.kpxe": "~undionly.kpxe", `C:\boot\undionly.kpxe`: "~undionly.kpxe", "c:undionly.kpxe": "~undionly.kpxe",
		"tftp://10.77.0.1/snponly.efi": "~snponly.efi", "./snponly.efi": "~snponly.efi", `boot\snponly.efi` + "\xff": "~snponly.efi",
		// Of these nobody can know what is meant.
		"ipxe.e": "", "ipxe.efi.sig": "", "undi": "", "": "", "/": "", "..": "", "../a": "", "grubx64.efi": "", "undionly.kpxe.0.cfg": "", "\xff": "",
	} {
		if got := find(served, asked, ""); got != want {
			t.Errorf("%q stands for %q, want %q", asked, got, want)
		}
	}
}

// What a shim asks for is what it was offered with, whatever name that has.
func TestSecondStage(t *testing.T) {
	served := names("snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "mmx64.efi", "shimaa64.efi", "grubaa64.efi",
		"x86_64-sb/snponly-shim.efi", "x86_64-sb/snponly.efi", "x86_64-sb/shimx64.efi", "arm64-sb/ipxe-shim.efi", "arm64-sb/ipxe.efi", "own/shimx64.efi", "own/grubx64.efi")
	for _, c := range []struct{ before, asked, want string }{
		{"shimx64.efi", "grubx64.efi", "grubx64.efi"}, {"shimx64.efi", `\grubx64.efi`, "grubx64.efi"}, {"shimx64.efi", "/boot//grubx64.efi", "~grubx64.efi"},
		{"shimx64.efi", "boot/\x88Onboard", "~grubx64.efi"}, {"shimx64.efi", "?USB", "~grubx64.efi"}, {"shimaa64.efi", "\x88Onboard", "~grubaa64.efi"},
		{"shimx64.efi", "mmx64.efi", "mmx64.efi"}, {"shimx64.efi", "revocations.efi", ""}, {"shimx64.efi", "grubx64.efi\xff\x01", "~grubx64.efi"},
		{"grubx64.efi", "?USB", ""}, {"", "?USB", ""}, {"snponly.efi", "?USB", ""},
		{"x86_64-sb/snponly-shim.efi", "ipxe.efi", "~x86_64-sb/snponly.efi"}, {"x86_64-sb/snponly-shim.efi", "snponly.efi", "~x86_64-sb/snponly.efi"},
		{"x86_64-sb/snponly-shim.efi", "x86_64-sb/snponly.efi", "x86_64-sb/snponly.efi"}, {"arm64-sb/ipxe-shim.efi", "ipxe.efi", "~arm64-sb/ipxe.efi"},
		{"x86_64-sb/snponly-shim.efi", "grubx64.efi", "grubx64.efi"}, {"own/shimx64.efi", "grubx64.efi", "~own/grubx64.efi"},
		{"x86_64-sb/snponly.efi", "ipxe.efi", "ipxe.efi"}, {"snponly.efi", "ipxe.efi", "ipxe.efi"},
	} {
		if got := find(served, c.asked, c.before); got != c.want {
			t.Errorf("after %q %q stands for %q, want %q", c.before, c.asked, got, c.want)
		}
	}
}

func TestOptional(t *testing.T) {
	for name, want := range map[string]bool{
		"revocations.efi": true, "/boot/revocations_sku.efi": true, `\boot\revocations_sbat.efi`: true, "oader/revocations.efi": true,
		"shim_certificate_0.efi": true, "boot/shim_certificate_12.efi": true, "/grub/x86_64-efi/command.lst": true, "/grub/arm64-efi/fs.lst": true,
		"/grub/x86_64-efi/http.mod": true, "/grub/grub.cfg-01-52-54-00-00-00-01": true, "/grub/grub.cfg-C0A80": true, "/grub/fonts/unicode.pf2": true,
		"/grub/locale/de.gmo": true, "autoexec.ipxe": true, "12ab34cd/config.txt": true, "pieeprom.sig": true, "recover4.elf": true,
		// These are missed.
		"/grub/grub.cfg": false, "grubx64.efi": false, "mmx64.efi": false, "boot/12ab/vmlinuz": false, "boot.ipxe": false, "": false, "snponly.efi\xff": false,
		"revocations.efi.exe": false, "pxelinux.cfg/default": false,
	} {
		if got := Optional(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clients
		first := netip.MustParseAddr("10.0.0.1")
		if c.Last(first) != "" {
			t.Error("it knows a client from nowhere")
		}
		c.Loaded(first, "shimx64.efi")
		c.Loaded(first, "grubx64.efi")
		if got := c.Last(first); got != "grubx64.efi" {
			t.Errorf("got %q", got)
		}
		at := first
		for range maxClients - 1 {
			time.Sleep(time.Millisecond)
			at = at.Next()
			c.Loaded(at, "a")
		}
		c.Loaded(at, "b")
		if c.Last(first) == "" || c.Last(at) != "b" {
			t.Error("some were forgotten while there was room")
		}
		c.Loaded(at.Next(), "c")
		if c.Last(first) != "" || c.Last(at.Next()) != "c" || len(c.all) != maxClients {
			t.Errorf("%d remembered, the first as %q", len(c.all), c.Last(first))
		}
		time.Sleep(remembered + time.Second)
		if got := c.Last(at); got != "" {
			t.Errorf("%q after %s", got, remembered)
		}
		c.Loaded(first, "d")
		if len(c.all) != 1 {
			t.Errorf("%d remembered for nothing", len(c.all)-1)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("/snponly.efi\xff", "shimx64.efi")
	f.Add(`C:\boot\?USB`, "x86_64-sb/snponly-shim.efi")
	f.Add("tftp://10.0.0.1//a", "")
	served := names("snponly.efi", "grubx64.efi", "x86_64-sb/snponly.efi", "x86_64-sb/snponly-shim.efi", "shimx64.efi")
	f.Fuzz(func(t *testing.T, asked, before string) {
		if name, _ := Find(served, asked, before); name != "" && served[name] == "" {
			t.Errorf("%q after %q stands for %q, which is not served", asked, before, name)
		}
		if clean := Clean(asked); strings.HasPrefix(clean, "/") || strings.HasSuffix(clean, "/") || strings.Contains(clean, "//") || strings.Contains(clean, `\`) {
			t.Errorf("%q is cleaned to %q", asked, clean)
		}
		Optional(asked)
	})
}
