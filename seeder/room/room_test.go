package room

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

func mac(n string) string { return "52:54:00:00:00:" + n }

// classroom has a teacher that is listed and has reported, two desks of which one has, and a stranger with a desk's host name.
func classroom() *Room {
	cat := &catalog.Catalog{Rules: catalog.Rules{
		Groups: []catalog.Group{
			{Name: "teachers", Match: catalog.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}}},
			{Name: "desks", Match: catalog.Match{MAC: []string{mac("1*")}}},
			{Name: catalog.GroupAll},
		},
		Machines: []catalog.Machine{{MAC: mac("01"), Name: "desks-boss", Hostname: "boss"}, {MAC: mac("10"), Name: "window", Group: "desks"}, {MAC: mac("20"), Name: "desks"}},
		Next:     []catalog.Next{{ID: "x", Group: "desks", What: "local"}},
	}}
	listed := []Listed{{MAC: mac("01"), Name: "desks-boss", Hostname: "boss", Notes: "by the door"}, {MAC: mac("10"), Name: "window", Address: "10.0.0.10"}, {MAC: mac("20"), Name: "desks"}}
	node := func(n, ip, name string) report.Node {
		return report.Node{Report: report.Report{MAC: mac(n), IP: ip, Name: name}}
	}
	return New(cat, listed, []report.Node{node("01", "10.0.1.7", "boss"), node("11", "10.0.0.11", "PC11"), node("30", "10.0.0.30", "pc11"), node("12", "10.0.0.12", "pc12")}, []string{mac("40")})
}

func TestNew(t *testing.T) {
	var lines []string
	for _, m := range classroom().Machines {
		lines = append(lines, strings.Join([]string{m.MAC[15:], m.Called(), m.Group, m.Address, m.Notes, m.Next}, " "))
	}
	got := strings.Join(lines, "\n")
	// That of the machines that have not reported it is unknown whether they are teachers leaves them without a group, but for the one whose entry has it.
	want := `01 desks-boss teachers 10.0.1.7 by the door 
11 PC11 desks 10.0.0.11  local
12 pc12 desks 10.0.0.12  local
10 window desks 10.0.0.10  local
30 pc11 all 10.0.0.30  
40 52:54:00:00:00:40    
20 desks    `
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTargets(t *testing.T) {
	r := classroom()
	for words, want := range map[string]string{
		"all": "all: 7", "teachers": "teachers: 01", "window": ": 10", "WINDOW": ": 10", "boss": ": 01", "10.0.0.12": ": 12", "pc12 teachers": ": 12 teachers: 01",
		"52-54-00-00-00-10": ": 10", "52:54:00:00:00:99": ": 99",
		"desks":             `"desks" is a group and a machine; name the machine by its MAC address, 52:54:00:00:00:20`,
		"pc11":              `"pc11" is the name of 2 machines; say which by the MAC address: 52:54:00:00:00:11, 52:54:00:00:00:30`,
		"ff:ff:ff:ff:ff:ff": "ff:ff:ff:ff:ff:ff is the address of a multicast group",
		"nobody window":     `"nobody" is no group and no machine; groups: teachers, desks, all; machines: desks-boss, PC11, pc12, window, pc11, 52:54:00:00:00:40, desks`,
		"":                  "name a machine or a group, or say all; groups: teachers",
	} {
		targets, err := r.Targets(strings.Fields(words))
		var got []string
		for _, target := range targets {
			if target.Group == catalog.GroupAll {
				got = append(got, "all: "+string(rune('0'+len(target.Machines))))
				continue
			}
			line := target.Group + ":"
			for _, m := range target.Machines {
				line += " " + m.MAC[15:]
			}
			got = append(got, line)
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
			if !errors.Is(err, ErrTarget) {
				t.Errorf("%s: %v is not an ErrTarget", words, err)
			}
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: %s, want %s", words, text, want)
		}
	}
	empty := New(nil, nil, nil, nil)
	if _, err := empty.Targets([]string{"x"}); err == nil || !strings.Contains(err.Error(), "the site has no groups; no machine is known yet") {
		t.Errorf("in an empty room: %v", err)
	}
	if got := Machines([]Target{{Machines: r.Machines}, {Machines: r.Machines[:2]}}); len(got) != len(r.Machines) {
		t.Errorf("%d machines, each once", len(got))
	}
}
