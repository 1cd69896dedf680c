package site

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// originalSite makes a site of testdata and loads it.
func originalSite(t *testing.T, name string) (dir string, s *Site) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return dir, s
}

// Every key that is honoured, by its value here.
func TestOriginalValues(t *testing.T) {
	addr := netip.MustParseAddr
	for name, want := range map[string]Site{
		"original": {
			Serve: Serve{Address: addr("192.168.1.1")}, Defaults: catalog.Defaults{System: "linuxos", Timeout: 30, SeedTime: 45},
			DHCP:  DHCP{Mode: DHCPServer, First: addr("192.168.1.50"), Last: addr("192.168.1.150"), Lease: 12 * time.Hour},
			Ports: Ports{HTTP: 10001, TFTP: 69, Torrent: 6881},
		},
		"original-other": {
			Serve: Serve{Address: addr("10.0.0.1")}, Defaults: catalog.Defaults{System: "floppy", Timeout: -1},
			DHCP: DHCP{Mode: DHCPProxy}, Ports: Ports{HTTP: 8080, TFTP: 0, Torrent: 6881},
		},
	} {
		_, got := originalSite(t, name)
		if !got.Original || got.Serve.Address != want.Serve.Address || got.Defaults != want.Defaults || got.Ports != want.Ports ||
			!reflect.DeepEqual(got.DHCP, want.DHCP) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		methods := map[string]string{}
		for _, sys := range got.Systems {
			methods[sys.Title] = sys.Launch.Method
		}
		if !reflect.DeepEqual(methods, map[string]string{"LinuxOS": "kexec", "TestOnQemu": "qemu", "TestBin": "bin"}) {
			t.Errorf("%s has %v", name, methods)
		}
	}
}

func TestDnsmasqRange(t *testing.T) {
	const from, to = "10.0.0.50", "10.0.0.99"
	for value, want := range map[string]time.Duration{
		from + "," + to:                                       time.Hour,
		from + "," + to + ",12h":                              12 * time.Hour,
		from + ", " + to + " ,45m":                            45 * time.Minute,
		from + "," + to + ",3600":                             time.Hour,
		from + "," + to + ",30":                               2 * time.Minute,
		from + "," + to + ",2d":                               48 * time.Hour,
		from + "," + to + ",1w":                               7 * 24 * time.Hour,
		from + "," + to + ",infinite":                         longest,
		from + "," + to + ",255.255.255.0,1h":                 time.Hour,
		from + "," + to + ",255.255.255.0,10.0.0.255,1h":      time.Hour,
		from + "," + to + ",255.255.255.0":                    time.Hour,
		from:                                                  0,
		from + "," + to + ",soon":                             0,
		from + "," + to + ",1h,2h":                            0,
		from + ",static":                                      0,
		from + ",proxy":                                       0,
		to + "," + from:                                       0,
		"set:red," + from + "," + to:                          0,
		from + "," + to + ",255.255.255.0,10.0.0.255,1h,more": 0,
		"fd00::1,fd00::9":                                     0,
	} {
		o := &original{checker: &checker{}, site: &Site{}}
		o.dhcpRange(text{startOf("Boottorrent.yaml"), value})
		switch d := o.site.DHCP; {
		case want == 0 && len(o.problems) == 0:
			t.Errorf("%s: no problem", value)
		case want != 0 && (len(o.problems) > 0 || d.Lease != want || d.First.String() != from || d.Last.String() != to):
			t.Errorf("%s: %+v, %v", value, d, o.problems)
		}
	}
}

func TestEnsureKeys(t *testing.T) {
	dir, s := originalSite(t, "original")
	for i, want := range []bool{true, false} {
		if made, err := EnsureKeys(s); err != nil || made != want {
			t.Fatalf("time %d: made %v, %v", i+1, made, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, SecretKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
	if _, err := s.SecretKey(); err != nil {
		t.Error(err)
	}
	again, problems := Load(dir)
	if len(problems) > 0 || len(again.Warnings) != len(s.Warnings) {
		t.Errorf("with keys: %v, %v", problems, again.Warnings)
	}
	fresh, problems := Load(initSite(t, ""))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := os.Remove(filepath.Join(fresh.Dir, SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	if made, err := EnsureKeys(fresh); made || err != nil {
		t.Errorf("of a site of version 1: %v, %v", made, err)
	}
}

// A migrated site is the same site.
func TestMigrate(t *testing.T) {
	for _, name := range []string{"original", "original-other"} {
		dir, before := originalSite(t, name)
		changes, err := Migrate(dir)
		if err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(filepath.Join(dir, ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		text.Write(body)
		text.WriteString("\n")
		for _, c := range changes {
			text.WriteString(c.Old + " → " + c.New + "\n")
		}
		golden := "testdata/migrated-" + name + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != text.String() {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, text.String(), want)
		}
		if _, err := EnsureKeys(before); err != nil {
			t.Fatal(err)
		}
		after, problems := Load(dir)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if len(after.Warnings) != 1 || !strings.Contains(after.Warnings[0].What, "is not read") {
			t.Errorf("warnings %v", after.Warnings)
		}
		before.Original, before.Warnings, after.Warnings = false, nil, nil
		if before.DHCP.Mode != DHCPServer {
			before.DHCP.Lease = after.DHCP.Lease // of which nobody makes use
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, after, before)
		}
		if _, err := Migrate(dir); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("a second time: %v", err)
		}
	}
}
