package catalog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const oneHash = "$2y$10$abcdefghijklmnopqrstuuWzYxLmNoPqRsTuVwXyZ0123456789ab"

// ruled is a catalog with rules of every kind.
func ruled() *Catalog {
	c := example()
	system, timeout, leave := c.Systems[0].Name, -1, true
	c.Rules = Rules{
		Groups: []Group{
			{Name: "teachers", Match: Match{
				MAC: []string{"52:54:00:*", "aa:00:00:00:00:01-aa:00:00:00:00:09"}, UUID: []string{"4c4c*"}, Subnet: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
				Firmware: FirmwareUEFI, Memory: &MemoryBound{">=", 8 << 30}, SecureBoot: new(bool)},
				Settings: Settings{Default: &system, Timeout: &timeout, Menu: MenuLocked, Password: oneHash, Systems: []string{StartLocal, system},
					Cmdline: "quiet {{.MAC}}", Seed: &Seeding{Until: UntilTime, Limit: 5}, LeaveAtStart: &leave, Limits: &Limits{Upload: 1}, Hostname: "t-{{.Last}}",
					Writable: WritableRAM, WritableLimit: Share{Percent: 50}, SSHKeys: []string{"ssh-ed25519 AAAA me"}, Next: StartMenu}},
			{Name: "none", Settings: Settings{Systems: []string{}, Default: new(string)}},
			{Name: GroupAll, Settings: Settings{Next: StartLocal}},
		},
		Machines: []Machine{
			{MAC: "52:54:00:00:00:01"},
			{MAC: "52:54:00:00:00:02", Name: "desk-2", Group: "none", Hostname: "two"},
			{MAC: "52:54:00:00:00:03", Group: "teachers"},
			{MAC: "52:54:00:00:00:04", Hostname: "four"},
		},
		Next: []Next{
			{ID: "1", MAC: "52:54:00:00:00:01", What: system, Once: true},
			{ID: "2", Group: GroupAll, What: StartLocal, Once: true, Done: MACs{"52:54:00:00:00:01", "52:54:00:00:00:02"}},
		},
	}
	return c
}

// What nodes read is what was written: an empty list is not the same as none.
func TestRulesRoundTrip(t *testing.T) {
	c := ruled()
	read, err := decode(mustEncode(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Rules, c.Rules) {
		t.Errorf("got  %+v\nwant %+v", read.Rules, c.Rules)
	}
	if none := read.Rules.Groups[1]; none.Offers("linux") || !read.Rules.Groups[2].Offers("linux") {
		t.Errorf("a group that offers nothing: %+v", none.Systems)
	}
	for _, m := range c.Rules.Machines {
		if b, err := json.Marshal(m); err != nil || b[0] != '"' {
			t.Errorf("%s, %v", b, err)
		}
	}
}

// Both sides refuse the same rules.
func TestRulesAreValidated(t *testing.T) {
	name := func(s string) *string { return &s }
	for what, c := range map[string]struct {
		spoil func(*Rules)
		want  string
	}{
		"all not last":            {func(r *Rules) { r.Groups[0].Name = GroupAll }, "is not the last one"},
		"a group twice":           {func(r *Rules) { r.Groups[1].Name = "Teachers" }, `"Teachers" of a group is also that of another`},
		"a machine like a group":  {func(r *Rules) { r.Machines[0].Name = "teachers" }, `"teachers" of a machine is also that`},
		"a machine called all":    {func(r *Rules) { r.Machines[0].Name = "ALL" }, "also that of another group or machine"},
		"a machine twice by name": {func(r *Rules) { r.Machines[0].Name = "desk-2" }, "also that of another"},
		"no folder name":          {func(r *Rules) { r.Groups[0].Name = "a/b" }, "can't be that of a group"},
		"a name with a space":     {func(r *Rules) { r.Machines[0].Name = "desk 1" }, "can't be that of a group or machine"},
		"a name like a MAC":       {func(r *Rules) { r.Machines[0].Name = "52-54-00-00-00-01" }, "reads as an address"},
		"a name like an IP":       {func(r *Rules) { r.Machines[0].Name = "10.0.0.1" }, "reads as an address"},
		"followers unsorted":      {func(r *Rules) { r.Next[1].Done[0] = "52:54:00:00:00:03" }, "are not sorted"},
		"unsorted":                {func(r *Rules) { r.Machines[1].MAC = "52:54:00:00:00:00" }, "want them sorted"},
		"a MAC twice":             {func(r *Rules) { r.Machines[1].MAC = r.Machines[0].MAC }, "and each once"},
		"no MAC":                  {func(r *Rules) { r.Machines[0].MAC = "52:54:00:00:00" }, "no MAC address"},
		"of a multicast group":    {func(r *Rules) { r.Machines[0].MAC = "01:00:5e:00:00:01" }, "no MAC address"},
		"capital letters":         {func(r *Rules) { r.Machines[3].MAC = "52:54:00:00:00:0A" }, "no MAC address"},
		"no host name":            {func(r *Rules) { r.Machines[0].Hostname = "-a" }, "no host name"},
		"no such group":           {func(r *Rules) { r.Machines[0].Group = "x" }, `the group "x", which is not in the list`},
		"no such default":         {func(r *Rules) { r.Groups[0].Default = name("x") }, `the default system "x" of group`},
		"no such system":          {func(r *Rules) { r.Groups[0].Systems = []string{"x"} }, `offers the system "x"`},
		"no such next":            {func(r *Rules) { r.Groups[0].Next = "x" }, `the system "x", with which group`},
		"the menu is no system":   {func(r *Rules) { r.Groups[0].Systems = []string{StartMenu} }, `offers the system "menu"`},
		"a pattern":               {func(r *Rules) { r.Groups[0].Match.MAC = []string{"52:54"} }, "no MAC address is"},
		"a range":                 {func(r *Rules) { r.Groups[0].Match.MAC[1] = "aa:00:00:00:00:09-aa:00:00:00:00:01" }, "ends before it begins"},
		"a glob":                  {func(r *Rules) { r.Groups[0].Match.UUID[0] = "[" }, "no pattern"},
		"IPv6":                    {func(r *Rules) { r.Groups[0].Match.Subnet[0] = netip.MustParsePrefix("fe80::/10") }, "no IPv4 subnet"},
		"firmware":                {func(r *Rules) { r.Groups[0].Match.Firmware = "coreboot" }, "the firmware is"},
		"memory":                  {func(r *Rules) { r.Groups[0].Match.Memory.Op = "=" }, "memory is = "},
		"menu":                    {func(r *Rules) { r.Groups[0].Menu = "open" }, "the menu is"},
		"a plain password":        {func(r *Rules) { r.Groups[0].Password = "secret" }, "no bcrypt hash"},
		"a locked menu alone":     {func(r *Rules) { r.Groups[0].Password = "" }, "there is no password"},
		"a placeholder":           {func(r *Rules) { r.Groups[0].Cmdline = "{{.Nope}}" }, "unknown placeholder"},
		"a control character":     {func(r *Rules) { r.Groups[0].Cmdline = "a\x1b" }, "control character"},
		"too much of it":          {func(r *Rules) { r.Groups[0].Cmdline = strings.Repeat("a", MaxGroupCmdline+1) }, "shorten it"},
		"writable":                {func(r *Rules) { r.Groups[0].Writable = "disk" }, "writable is"},
		"two limits":              {func(r *Rules) { r.Groups[0].WritableLimit.Bytes = 1 }, "writable_limit is"},
		"keys":                    {func(r *Rules) { r.Groups[0].SSHKeys[0] = "a\nb" }, "control character"},
		"a large group":           {func(r *Rules) { r.Groups[0].SSHKeys = []string{strings.Repeat("k", MaxGroup)} }, "shorten its lists"},
		"seeding":                 {func(r *Rules) { r.Groups[0].Seed.Limit = -1 }, "for seeding"},
		"a limit":                 {func(r *Rules) { r.Groups[0].Limits.Upload = -1 }, "below zero"},
		"no ID":                   {func(r *Rules) { r.Next[0].ID = "" }, "can't be the ID"},
		"for two":                 {func(r *Rules) { r.Next[0].Group = "teachers" }, "want one of both"},
		"for nobody":              {func(r *Rules) { r.Next[0].MAC = "" }, "want one of both"},
		"for an unknown group":    {func(r *Rules) { r.Next[1].Group = "x" }, "one that there is"},
		"what is not there":       {func(r *Rules) { r.Next[1].What = "x" }, "is to be started next"},
		"done by what is no MAC":  {func(r *Rules) { r.Next[1].Done[0] = "x" }, "are not MAC addresses"},
		"many groups":             {func(r *Rules) { r.Groups = make([]Group, MaxGroups+1) }, "there are 251 groups"},
		"many machines":           {func(r *Rules) { r.Machines = make([]Machine, MaxMachines+1) }, "10001 machines"},
		"many of what is next":    {func(r *Rules) { r.Next = make([]Next, MaxNext+1) }, "2501 orders"},
	} {
		cat := ruled()
		c.spoil(&cat.Rules)
		if err := cat.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	reserved := example()
	reserved.Systems[0].Name = StartLocal
	if err := reserved.Validate(); err == nil || !strings.Contains(err.Error(), "stands for something else") {
		t.Errorf("a system called local: %v", err)
	}
}

func TestMACPatterns(t *testing.T) {
	for _, good := range []string{"52:54:00:*", "*", "??:??:??:??:??:??", "52:54:00:12:34:5[0-9a]", "*:*", "52:*:56", "[0-9a-f]*", "52:54:00:12:34:56", "*5*", "[^5]*",
		"52:54:00:00:00:01-52:54:00:00:00:20"} {
		if err := CheckMACPattern(good); err != nil {
			t.Error(err)
		}
	}
	for bad, want := range map[string]string{
		"52:54:00": `write "52:54:00:*"`, "52:54:00:": `write "52:54:00:*"`, "5254*": "six pairs", "52:54:0g:*": "six pairs", "52:54:00:12:34:56:78": "six pairs", "": "six pairs",
		"[": "no end", "52:[a": "no end", `52\`: "no end", "52:54:00:12:34:56-": "six pairs", "52:54:00:00:00:20-52:54:00:00:00:01": "exchange",
		"52:54:00:00:00:zz-52:54:00:00:00:20": "no range", "52-54-*": "six pairs", "52:54:00:[A-F]*": "six pairs", "*:*:*:*:*:*:*": "six pairs",
	} {
		if err := CheckMACPattern(bad); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}

// FuzzMACPattern checks that what passes for a pattern is one, and that what matches an address has passed.
func FuzzMACPattern(f *testing.F) {
	for _, p := range []string{"52:54:00:*", "52:54:00:12:34:5[0-9a]", "52:54:00:00:00:01-52:54:00:00:00:20", `\5*`, "[", "[]a]*", "[^]*"} {
		f.Add(p, uint64(0x525400123456))
	}
	f.Fuzz(func(t *testing.T, p string, n uint64) {
		mac := fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		err := CheckMACPattern(p)
		if MatchMAC(p, mac) && err != nil {
			t.Errorf("%q matches %s: %v", p, mac, err)
		}
		if _, bad := path.Match(p, ""); err == nil && bad != nil {
			t.Errorf("%q passes: %v", p, bad)
		}
	})
}

// FuzzMachine reads any text as a machine; what is written of it again is read as the same.
func FuzzMachine(f *testing.F) {
	for _, s := range []string{"52:54:00:00:00:01 desk - host", "- - - -", "", "a b c d e", "52:54:00:00:00:01  x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var m, again Machine
		if m.UnmarshalText([]byte(s)) != nil || m.validate() != nil {
			return
		}
		text, err := m.MarshalText()
		if err != nil || again.UnmarshalText(text) != nil || again != m {
			t.Errorf("%q is %+v, then %q, then %+v (%v)", s, m, text, again, err)
		}
	})
}

// manyMachines is a catalog with so many machines, in 40 groups, each with a name, a group and a host name.
func manyMachines(n int) *Catalog {
	c := example()
	for i := range 40 {
		c.Rules.Groups = append(c.Rules.Groups, Group{Name: fmt.Sprintf("room-%02d", i), Match: Match{Subnet: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 0}), 24)}},
			Settings: Settings{Menu: MenuLocked, Password: oneHash, Hostname: "pc-{{.Last}}", Cmdline: "quiet splash"}})
	}
	for i := range n {
		name := fmt.Sprintf("building-a-pc-%04d", i)
		c.Rules.Machines = append(c.Rules.Machines, Machine{MAC: fmt.Sprintf("52:54:00:%02x:%02x:%02x", i>>16, i>>8&255, i&255), Name: name, Group: fmt.Sprintf("room-%02d", i%40), Hostname: name})
	}
	return c
}

// Thousands of machines are no burden for nodes. The test logs what they cost.
func TestManyMachines(t *testing.T) {
	for _, n := range []int{0, 5000, MaxMachines} {
		c := manyMachines(n)
		document := mustEncode(t, c)
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(document); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC() // which empties pools as well
		runtime.ReadMemStats(&before)
		start := time.Now()
		read, err := decode(document)
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocated := fmt.Sprint((after.TotalAlloc - before.TotalAlloc) >> 10)
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		t.Logf("%d machines: %d bytes, compressed %d; decoded in %v with %s KiB allocated, of which %d are kept", n, len(document), packed.Len(), took.Round(100*time.Microsecond), allocated,
			(int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
		if len(read.Rules.Machines) != n || len(document) > MaxRules {
			t.Errorf("%d machines of %d in %d bytes", len(read.Rules.Machines), n, len(document))
		}
		runtime.KeepAlive(read)
		runtime.KeepAlive(c)
		runtime.KeepAlive(document)
	}
}

// Rules leave systems their room, however many machines there are.
func TestRulesLeaveRoom(t *testing.T) {
	c := manyMachines(MaxMachines)
	large, _ := largeSite(t)
	c.Systems, c.Runtimes, c.Defaults = large.Systems, nil, Defaults{}
	if excluded := c.Fit(); len(excluded) > 0 {
		t.Errorf("no room for %d systems", len(excluded))
	}
	mustEncode(t, c)
	for i := range c.Rules.Machines {
		m := &c.Rules.Machines[i]
		m.Name, m.Hostname = m.Name+strings.Repeat("x", 40), m.Hostname+strings.Repeat("y", 40)
	}
	if _, err := c.Encode(); err == nil || !strings.Contains(err.Error(), "shorten names") {
		t.Errorf("rules that take the systems' room: %v", err)
	}
}

// What somebody said to be started next never keeps a site from being published whose groups and machines fit by themselves.
func TestNextFits(t *testing.T) {
	c := ruled()
	c.Rules.Machines = nil
	for i := range MaxMachines {
		m := Machine{MAC: fmt.Sprintf("52:54:00:01:%02x:%02x", i>>8, i&255), Name: fmt.Sprintf("machine-%05d-in-the-long-hall", i), Group: "teachers", Hostname: fmt.Sprintf("host-%05d-abcdefghi", i)}
		c.Rules.Machines = append(c.Rules.Machines, m)
	}
	next := slices.Clone(c.Rules.Next)
	for i := range MaxNext + 1 {
		next = append(next, Next{ID: fmt.Sprintf("ABCDEFGH%04d", i), MAC: fmt.Sprintf("52:54:00:01:%02x:%02x", i>>8, i&255), What: StartMenu})
	}
	c.Rules.Next = nil
	mustEncode(t, c)
	c.Rules.Next = next
	if _, err := c.Encode(); err == nil {
		t.Fatal("all of it fits: the test proves nothing")
	}
	left := c.Rules.FitNext()
	mustEncode(t, c)
	if len(c.Rules.Next) == 0 || len(left)+len(c.Rules.Next) != len(next) || left[len(left)-1].ID != next[len(next)-1].ID {
		t.Errorf("%d of %d fit, %d are left", len(c.Rules.Next), len(next), len(left))
	}
}
