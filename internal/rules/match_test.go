package rules

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func yes() *bool { b := true; return &b }

// desk is a machine of which everything is known.
func desk() Facts {
	return Facts{
		MAC: "52:54:00:12:34:56", UUID: "4C4C4544-0042-3010-8058-B9C04F333832", Serial: " 5CG1234ABC ", Vendor: "Dell Inc.", Model: "OptiPlex 7010/SFF",
		Addr: netip.MustParseAddr("10.1.2.3"), Arch: "amd64", Firmware: "uefi", Memory: 8 << 30, SecureBoot: yes(), Complete: true,
	}
}

func TestMatch(t *testing.T) {
	gib := func(op string, n int64) *catalog.MemoryBound { return &catalog.MemoryBound{Op: op, Bytes: n << 30} }
	for _, c := range []struct {
		name  string
		match catalog.Match
		want  bool
	}{
		{"nothing asked", catalog.Match{}, false},
		{"address", catalog.Match{MAC: []string{"52:54:00:12:34:56"}}, true},
		{"another address", catalog.Match{MAC: []string{"52:54:00:12:34:57"}}, false},
		{"glob", catalog.Match{MAC: []string{"52:54:00:*"}}, true},
		{"glob with a hyphen", catalog.Match{MAC: []string{"52:54:00:12:34:[0-9][0-9]"}}, true},
		{"one of two", catalog.Match{MAC: []string{"aa:*", "*:56"}}, true},
		{"range", catalog.Match{MAC: []string{"52:54:00:12:34:00-52:54:00:12:34:ff"}}, true},
		{"both ends of a range", catalog.Match{MAC: []string{"52:54:00:12:34:56-52:54:00:12:34:56"}}, true},
		{"below a range", catalog.Match{MAC: []string{"52:54:00:12:34:57-52:54:00:12:34:ff"}}, false},
		{"above a range", catalog.Match{MAC: []string{"52:54:00:00:00:00-52:54:00:12:34:55"}}, false},
		{"a pattern that is none", catalog.Match{MAC: []string{"52:["}}, false},
		{"UUID in other letters", catalog.Match{UUID: []string{"4c4c4544-*"}}, true},
		{"serial with spaces around it", catalog.Match{Serial: []string{"5cg1*"}}, true},
		{"a glob is of the whole text", catalog.Match{Vendor: []string{"Dell"}}, false},
		{"slashes are letters", catalog.Match{Model: []string{"optiplex*sff"}}, true},
		{"slashes are letters, written out", catalog.Match{Model: []string{"OptiPlex 7010/SFF"}}, true},
		{"subnet", catalog.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.1.0.0/16")}}, true},
		{"another subnet", catalog.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}}, false},
		{"arch", catalog.Match{Arch: []string{"arm64", "amd64"}}, true},
		{"firmware", catalog.Match{Firmware: "bios"}, false},
		{"memory at least", catalog.Match{Memory: gib(">=", 8)}, true},
		{"memory above", catalog.Match{Memory: gib(">", 8)}, false},
		{"memory at most", catalog.Match{Memory: gib("<=", 8)}, true},
		{"memory below", catalog.Match{Memory: gib("<", 8)}, false},
		{"memory by a word that is none", catalog.Match{Memory: gib("=", 8)}, false},
		{"Secure Boot on", catalog.Match{SecureBoot: yes()}, true},
		{"Secure Boot off", catalog.Match{SecureBoot: new(bool)}, false},
		{"all of them", catalog.Match{MAC: []string{"52:*"}, Firmware: "uefi", Memory: gib(">", 4), Vendor: []string{"dell*"}}, true},
		{"all but one", catalog.Match{MAC: []string{"52:*"}, Firmware: "bios", Memory: gib(">", 4)}, false},
	} {
		if holds, unknown := matches(&c.match, new(desk())); holds != c.want || unknown != nil {
			t.Errorf("%s: %v, %v unknown; want %v", c.name, holds, unknown, c.want)
		}
	}
}

// A fact that is not known leaves it open, unless another one decides it. Of a machine of which all is known it is a no.
func TestMatchUnknown(t *testing.T) {
	bound := &catalog.MemoryBound{Op: ">=", Bytes: 8 << 30}
	for _, c := range []struct {
		name    string
		match   catalog.Match
		facts   Facts
		holds   bool
		unknown string
	}{
		{"memory not known", catalog.Match{Memory: bound}, Facts{MAC: "52:54:00:12:34:56"}, false, "memory"},
		{"two not known", catalog.Match{MAC: []string{"52:*"}, Memory: bound, Serial: []string{"x"}}, Facts{MAC: "52:54:00:12:34:56"}, false, "serial memory"},
		{"the address says no", catalog.Match{MAC: []string{"aa:*"}, Memory: bound}, Facts{MAC: "52:54:00:12:34:56"}, false, ""},
		{"a no behind what is not known", catalog.Match{Serial: []string{"x"}, Firmware: "bios"}, Facts{Firmware: "uefi"}, false, ""},
		{"nothing is known", catalog.Match{Arch: []string{"amd64"}}, Facts{}, false, "arch"},
		{"everything is known", catalog.Match{Serial: []string{"*"}}, Facts{Complete: true}, false, ""},
		{"BIOS has no Secure Boot", catalog.Match{SecureBoot: new(bool)}, Facts{Firmware: "bios"}, true, ""},
		{"UEFI may have", catalog.Match{SecureBoot: new(bool)}, Facts{Firmware: "uefi"}, false, "secure_boot"},
	} {
		holds, unknown := matches(&c.match, &c.facts)
		if holds != c.holds || strings.Join(unknown, " ") != c.unknown {
			t.Errorf("%s: %v, unknown %v; want %v, %q", c.name, holds, unknown, c.holds, c.unknown)
		}
	}
}

// FuzzMatch gives any patterns and facts to a group, and leaves some of the facts out: what is said without them is never taken back by
// what they are.
func FuzzMatch(f *testing.F) {
	f.Add("52:54:00:*", "Dell*", "52:54:00:12:34:56", "Dell Inc.", byte(0))
	f.Add("52:54:00:00:00:01-52:54:00:00:00:20", "[", "52:54:00:00:00:02", "[", byte(3))
	f.Fuzz(func(t *testing.T, mac, vendor, hasMAC, hasVendor string, known byte) {
		m := catalog.Match{MAC: []string{mac}, Vendor: []string{vendor}, SecureBoot: yes()}
		all := Facts{MAC: hasMAC, Vendor: hasVendor, SecureBoot: yes(), Complete: true}
		some := all
		if some.Complete = false; known&1 == 0 {
			some.MAC = ""
		}
		if known&2 == 0 {
			some.Vendor = ""
		}
		holds, unknown := matches(&m, &some)
		finally, open := matches(&m, &all)
		if len(open) > 0 || len(unknown) == 0 && holds != finally && all.MAC != "" && all.Vendor != "" {
			t.Errorf("%v with %v unknown, and %v with everything known (%v)", holds, unknown, finally, open)
		}
		if catalog.CheckMACPattern(mac) == nil && strings.ContainsAny(mac, "[\\") {
			if _, err := path.Match(mac, ""); err != nil {
				t.Errorf("%q passes for a pattern: %v", mac, err)
			}
		}
	})
}

// FuzzHostname makes host names of any pattern and facts: they are host names, or there is an error.
func FuzzHostname(f *testing.F) {
	for _, p := range []string{"desk-{{.Last}}", "{{ .Serial }}", "{{IP}}", "{{.Nope}}", "{{.Name}}", "a_{{.Host}}", "{{.Last", strings.Repeat("x", 60) + "{{.MAC}}"} {
		f.Add(p, "5CG 1234/ß", "desk-1")
	}
	f.Fuzz(func(t *testing.T, pattern, serial, name string) {
		facts := desk()
		facts.Serial = serial
		got, err := Hostname(pattern, facts, &catalog.Machine{Name: name})
		if err == nil && !catalog.IsHostname(got) {
			t.Errorf("%q makes %q", pattern, got)
		}
		if CheckHostname(pattern) == nil && err != nil && len(serial)+len(name) < 10 && catalog.IsHostname(serial) && catalog.IsHostname(name) && len(pattern) < 20 {
			if strings.Count(pattern, "{{") < 3 {
				t.Errorf("%q passes, and makes nothing: %v", pattern, err)
			}
		}
	})
}

func TestWhatPatternsAreChecked(t *testing.T) {
	for pattern, want := range map[string]string{
		"desk-{{.Last}}": "", "{{ .MAC }}": "", "{{Host}}-room": "", "pc{{.Serial}}": "", "{{.Name}}": "",
		"desk":                                "same name",
		"desk-{{.Lsat}}":                      "unknown placeholder {{.Lsat}}",
		"desk_{{.Last}}":                      `has "_" in it`,
		"desk-{{.Last":                        `has "{{." in it`,
		"{{.Last}}.example":                   `has "." in it`,
		strings.Repeat("x", 58) + "{{.Last}}": "has 64 characters",
		"{{.MAC}}{{.MAC}}{{.MAC}}{{.MAC}}{{.MAC}}{{.MAC}}": "has 72 characters",
	} {
		err := CheckHostname(pattern)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "; ")) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

func TestHostname(t *testing.T) {
	for pattern, want := range map[string]string{
		"desk-{{.Last}}": "desk-123456", "{{.MAC}}": "525400123456", "PC-{{.Host}}": "pc-3", "n{{.IP}}": "n10-1-2-3", "s-{{.Serial}}": "s-5cg1234abc",
		"{{.Name}}-x": "window-x",
	} {
		if got, err := Hostname(pattern, desk(), &catalog.Machine{Name: "window"}); got != want {
			t.Errorf("%q makes %q (%v), want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"{{.Name}}", "a{{.Serial}}", "a{{.IP}}"} {
		if got, err := Hostname(pattern, Facts{MAC: "52:54:00:12:34:56"}, nil); err == nil || !strings.Contains(err.Error(), "has nothing for {{.") {
			t.Errorf("%q of a machine without makes %q, %v", pattern, got, err)
		}
	}
	if words := slices.Sorted(func(yield func(string) bool) {
		for w := range HostnameWords {
			if !yield(w) {
				return
			}
		}
	}); len(words) != 6 {
		t.Errorf("the words are %v; test the new one", words)
	}
}

// A page of 10,000 machines is made anew twice a second, and a site may have 250 groups.
func TestOtherGroupsCostLittle(t *testing.T) {
	f := desk()
	m := catalog.Match{MAC: []string{"aa:00:00:*"}, Vendor: []string{"Dell*"}, Memory: &catalog.MemoryBound{Op: ">=", Bytes: 1}}
	if n := testing.AllocsPerRun(100, func() { matches(&m, &f) }); n > 0 {
		t.Errorf("%v allocations for a group of other machines", n)
	}
}
