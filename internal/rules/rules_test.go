package rules

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func text(s string) *string { return &s }
func number(n int) *int     { return &n }

// school has teachers by their addresses, strong machines by their memory, and the rest.
func school() *catalog.Catalog {
	return &catalog.Catalog{
		Defaults: catalog.Defaults{System: "linux", Timeout: 10, SeedTime: 30},
		Limits:   catalog.Limits{Upload: 1000},
		Rules: catalog.Rules{
			Groups: []catalog.Group{
				{Name: "teachers", Match: catalog.Match{MAC: []string{"52:54:00:00:00:*"}}, Settings: catalog.Settings{
					Default: text("local"), Timeout: number(0), Menu: catalog.MenuLocked, Hostname: "t-{{.Last}}", Limits: &catalog.Limits{Download: 5}}},
				{Name: "kiosk", Settings: catalog.Settings{Systems: []string{"kiosk"}, Next: "kiosk"}},
				{Name: "strong", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: ">=", Bytes: 16 << 30}}, Settings: catalog.Settings{Default: text("")}},
				{Name: "all", Settings: catalog.Settings{SSHKeys: []string{"ssh-ed25519 AAAA"}, Hostname: "{{.Serial}}"}},
			},
			Machines: []catalog.Machine{
				{MAC: "52:54:00:00:00:07", Name: "beamer", Group: "kiosk"},
				{MAC: "52:54:00:00:00:08", Name: "head", Hostname: "principal"},
				{MAC: "aa:00:00:00:00:01", Name: "x.y", Group: "kiosk"},
			},
		},
	}
}

func TestFor(t *testing.T) {
	for _, c := range []struct {
		name                          string
		facts                         Facts
		group, system, hostname, next string
		because                       map[string]string
		unknown, perhaps              string
	}{
		{"first match wins", Facts{MAC: "52:54:00:00:00:01", Memory: 32 << 30, Complete: true}, "teachers", "local", "t-000001", "",
			map[string]string{"group": "match of group teachers", "default": "group teachers", "seed": "the site", "hostname": "group teachers", "menu": "group teachers"}, "", ""},
		{"a group named in machines counts before what groups match; the name is the host name", Facts{MAC: "52:54:00:00:00:07", Complete: true}, "kiosk", "", "beamer", "kiosk",
			map[string]string{"group": "machine 52:54:00:00:00:07", "default": "group kiosk, whose systems don't have linux", "next": "group kiosk", "hostname": "the name of machine 52:54:00:00:00:07"}, "", ""},
		{"a machine's host name counts before the pattern", Facts{MAC: "52:54:00:00:00:08", Complete: true}, "teachers", "local", "principal", "",
			map[string]string{"hostname": "machine 52:54:00:00:00:08"}, "", ""},
		{"a name that is no host name", Facts{MAC: "aa:00:00:00:00:01", Complete: true}, "kiosk", "", "", "kiosk", map[string]string{"hostname": "DHCP"}, "", ""},
		{"no default is a choice as well", Facts{MAC: "aa:00:00:00:00:02", Memory: 16 << 30, Serial: "S 1", Complete: true}, "strong", "", "", "",
			map[string]string{"default": "group strong"}, "", ""},
		{"the rest", Facts{MAC: "aa:00:00:00:00:02", Memory: 15 << 30, Serial: "S 1", Complete: true}, "all", "linux", "s-1", "",
			map[string]string{"group": "all others", "default": "the site", "ssh_keys": "group all", "timeout": "the site"}, "", ""},
		{"a pattern that makes no name", Facts{MAC: "aa:00:00:00:00:02", Complete: true}, "all", "linux", "", "",
			map[string]string{"hostname": `DHCP, as that of group all can't be used: this machine has nothing for {{.Serial}} in "{{.Serial}}"`}, "", ""},
		{"it depends", Facts{MAC: "aa:00:00:00:00:02"}, "", "linux", "", "", nil, "memory", "strong"},
		{"what is not known doesn't matter", Facts{MAC: "52:54:00:00:00:01"}, "teachers", "local", "t-000001", "", nil, "", ""},
	} {
		d := For(school(), c.facts)
		if d.Group != c.group || *d.Settings.Default != c.system || d.Hostname != c.hostname || d.Next != c.next ||
			strings.Join(d.Unknown, " ") != c.unknown || d.Perhaps != c.perhaps {
			t.Errorf("%s: %+v, default %q", c.name, d, *d.Settings.Default)
		}
		for key, want := range c.because {
			if d.Because[key] != want {
				t.Errorf("%s: %s because of %q, want %q", c.name, key, d.Because[key], want)
			}
		}
	}
}

// What the group leaves open is the site's; what it says replaces that as a whole.
func TestSettings(t *testing.T) {
	cat := school()
	teacher := For(cat, Facts{MAC: "52:54:00:00:00:01", Complete: true})
	if s := teacher.Settings; *s.Timeout != 0 || *s.Limits != (catalog.Limits{Download: 5}) || s.Seed.Until != catalog.UntilTime || s.Seed.Limit != 30 || *s.LeaveAtStart {
		t.Errorf("a teacher's: %+v", s)
	}
	other := For(cat, Facts{MAC: "aa:00:00:00:00:02", Complete: true})
	if s := other.Settings; *s.Timeout != 10 || *s.Limits != cat.Limits || s.Menu != catalog.MenuShown || s.Systems != nil {
		t.Errorf("another's: %+v", s)
	}
	*other.Settings.Timeout, other.Settings.Limits.Upload, *teacher.Settings.LeaveAtStart = 99, 99, true
	if cat.Defaults.Timeout != 10 || cat.Limits.Upload != 1000 || cat.Defaults.LeaveAtStart {
		t.Error("who changes a decision changes the catalog")
	}
	if d := For(&catalog.Catalog{}, Facts{MAC: "52:54:00:00:00:01"}); d.Group != "" || d.Machine != nil || len(d.Unknown) > 0 || *d.Settings.Default != "" {
		t.Errorf("a site without rules: %+v", d)
	}
}

// Of a machine whose group is not known, what was said for it by itself holds, and what was said for all, unless something for a group that it
// may be in comes before.
func TestNextUnknownGroup(t *testing.T) {
	const mac = "aa:00:00:00:00:02"
	mine := catalog.Next{ID: "m", MAC: mac, What: "x"}
	strong := catalog.Next{ID: "s", Group: "strong", What: "y"}
	all := catalog.Next{ID: "a", Group: "all", What: "local"}
	done := strong
	done.Once, done.Done = true, []string{mac}
	for _, c := range []struct {
		next []catalog.Next
		want string
	}{{[]catalog.Next{mine, strong}, "m"}, {[]catalog.Next{strong, all}, ""}, {[]catalog.Next{all}, "a"}, {[]catalog.Next{done, all}, "a"}} {
		cat := school()
		cat.Rules.Next = c.next
		if d := For(cat, Facts{MAC: mac}); d.NextID != c.want || len(d.Unknown) == 0 {
			t.Errorf("%+v: %q (%s)", c.next, d.NextID, d.Next)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hash, password string
		want           bool
	}{{string(hash), "secret", true}, {string(hash), "Secret", false}, {"", "", false}, {"secret", "secret", false},
		{strings.Replace(string(hash), "$2a$", "$2y$", 1), "secret", true}} {
		if CheckPassword(c.hash, c.password) != c.want {
			t.Errorf("%q with %q: want %v", c.hash, c.password, c.want)
		}
		if c.want != catalog.IsPasswordHash(c.hash) && c.password != "Secret" {
			t.Errorf("%q passes for a hash: %v", c.hash, !c.want)
		}
	}
}
