package site

import (
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// What the keys of groups, machines and page become.
func TestLoadGroups(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/groups.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	const hash = "$2y$10$abcdefghijklmnopqrstuuWzYxLmNoPqRsTuVwXyZ0123456789ab"
	name, zero, yes := func(s string) *string { return &s }, 0, true
	want := []catalog.Group{
		{Name: "teachers", Match: catalog.Match{
			MAC: []string{"52:54:00:12:*", "aa:00:00:00:00:01-aa:00:00:00:00:20"}, Serial: []string{"5CG1*"}, Vendor: []string{"Dell*"}, Firmware: "uefi",
			Memory: &catalog.MemoryBound{Op: ">=", Bytes: 8 << 30}, SecureBoot: new(bool)},
			Settings: catalog.Settings{Default: name("debian"), Timeout: &zero, Menu: "locked", Password: hash, Systems: []string{"debian", "kiosk", "local"},
				Cmdline: "quiet name={{.Hostname}}", Seed: &catalog.Seeding{Until: "time", Limit: 5}, Limits: &catalog.Limits{Upload: 12_500_000},
				Hostname: "desk-{{.Last}}", Writable: "ram", WritableLimit: catalog.Share{Percent: 50},
				SSHKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJKm0hE3GJ4d6vJ2kQW0z1T3fXlJc0mMZc5n1mY2kF0x me@desk"}, Next: "menu"}},
		{Name: "signs", Settings: catalog.Settings{Default: name("kiosk"), Menu: "hidden", Seed: &catalog.Seeding{Until: "swarm", Limit: 300}, LeaveAtStart: &yes}},
		{Name: "pi", Match: catalog.Match{Arch: []string{"arm64"}, Subnet: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")}},
			Settings: catalog.Settings{Default: name("")}},
		{Name: "all", Settings: catalog.Settings{Next: "local"}},
	}
	for i := range want {
		if i >= len(s.Groups) || !reflect.DeepEqual(s.Groups[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", s.Groups[i], want[i])
		}
	}
	machines := []Machine{
		{Machine: catalog.Machine{MAC: "52:54:00:00:00:02"}},
		{Machine: catalog.Machine{MAC: "52:54:00:00:00:03", Name: "door", Group: "signs", Hostname: "sign-1"}, Address: netip.MustParseAddr("10.1.0.20"), Notes: "left of the door"},
		{Machine: catalog.Machine{MAC: "52:54:00:00:00:aa", Name: "printer-2", Group: "all"}},
	}
	if !reflect.DeepEqual(s.Machines, machines) {
		t.Errorf("got  %+v\nwant %+v", s.Machines, machines)
	}
	reserved := []Reservation{
		{net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xaa}, netip.MustParseAddr("10.1.0.9"), "printer"},
		{net.HardwareAddr{0x52, 0x54, 0, 0, 0, 3}, netip.MustParseAddr("10.1.0.20"), "sign-1"},
	}
	if !reflect.DeepEqual(s.DHCP.Reservations, reserved) {
		t.Errorf("got  %+v\nwant %+v", s.DHCP.Reservations, reserved)
	}
	if s.Page != (Page{hash, PagePassword}) || s.Defaults.System != catalog.StartLocal {
		t.Errorf("the page's %+v, the default %q", s.Page, s.Defaults.System)
	}
	cat := catalog.Catalog{Version: catalog.Version, Rules: s.Rules()}
	for _, sys := range s.Systems {
		cat.Systems = append(cat.Systems, sys.entry())
	}
	if _, err := cat.Encode(); err != nil {
		t.Errorf("nodes would not take it: %v", err)
	}
}

// DHCP gives machines the names that they have by the rules, where those can be told.
func TestNamesOfReservations(t *testing.T) {
	c, s := &checker{}, &Site{Name: "site"}
	readConfig(parseDocument(c, ConfigFile, []byte(`version: 1
dhcp: {mode: server, range: {first: 10.1.0.100, last: 10.1.0.199}}
groups:
  - {name: desks, match: {mac: "52:54:00:00:01:*"}, hostname: "desk-{{.Host}}"}
  - {name: large, match: {mac: "52:54:00:00:02:*", memory: ">= 8 GiB"}, hostname: "large-{{.Last}}"}
machines:
  - {mac: "52:54:00:00:01:01", name: a, address: 10.1.0.1}
  - {mac: "52:54:00:00:01:02", name: b, hostname: own, address: 10.1.0.2}
  - {mac: "52:54:00:00:02:03", name: c, address: 10.1.0.3}
  - {mac: "52:54:00:00:03:04", name: d, address: 10.1.0.4}
  - {mac: "52:54:00:00:03:05", name: e}
  - {mac: "52:54:00:00:03:06", name: f.g, address: 10.1.0.6}
`)), s)
	if len(c.problems) > 0 {
		t.Fatal(c.problems)
	}
	var got []string
	for _, r := range s.DHCP.Reservations {
		got = append(got, r.Address.String()+" "+r.Hostname)
	}
	if want := []string{"10.1.0.1 desk-1", "10.1.0.2 own", "10.1.0.3 c", "10.1.0.4 d", "10.1.0.6 "}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
