package node

import (
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// kexec is a system that an amd64 node can start.
func kexec(name string) catalog.System {
	return catalog.System{Name: name, Title: "System " + name, Arch: "amd64", Size: 1 << 20,
		Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "vmlinuz"}}}
}

func listing(systems ...catalog.System) *catalog.Catalog { return &catalog.Catalog{Systems: systems} }

func TestItems(t *testing.T) {
	n, _ := newNode(t, "")
	arm, later := kexec("arm"), kexec("later")
	arm.Arch = "arm64"
	later.Launch = catalog.Launch{Method: "hologram"}
	hidden := kexec("hidden")
	hidden.Hidden = true
	items := n.items(listing(kexec("good"), arm, later, hidden))
	for i, want := range []string{"", "for arm64 machines, this one is amd64", `"hologram" is not known`, ""} {
		got := items[i]
		if (got.Unavailable == "") != (want == "") || !strings.Contains(got.Unavailable, want) {
			t.Errorf("%s is unavailable because %q, want %q", got.Name, got.Unavailable, want)
		}
		if got.Title != "System "+got.Name || got.Size != 1<<20 || got.Hidden != (got.Name == "hidden") {
			t.Errorf("item %+v", got)
		}
	}
}

func TestOverride(t *testing.T) {
	ten, now := 10, 0
	for _, c := range []struct {
		name    string
		system  string
		timeout *int
		want    catalog.Defaults
		notice  string
	}{
		{"nothing", "", nil, catalog.Defaults{System: "a", Timeout: 5}, ""},
		{"bt.system", "b", nil, catalog.Defaults{System: "b", Timeout: 5}, ""},
		{"bt.system that isn't there", "c", nil, catalog.Defaults{System: "a", Timeout: 5}, "bt.system=c is ignored"},
		{"bt.timeout", "", &ten, catalog.Defaults{System: "a", Timeout: 10}, ""},
		{"both", "b", &now, catalog.Defaults{System: "b", Timeout: 0}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, _ := newNode(t, "")
			n.Cmdline.System, n.Cmdline.Timeout = c.system, c.timeout
			n.Warnings = []string{"ip=nonsense is ignored"}
			cat := listing(kexec("a"), kexec("b"))
			cat.Defaults = catalog.Defaults{System: "a", Timeout: 5}
			if got := n.override(cat).Defaults; got != c.want {
				t.Errorf("defaults %+v, want %+v", got, c.want)
			}
			if cat.Defaults != (catalog.Defaults{System: "a", Timeout: 5}) {
				t.Error("the catalog itself was changed")
			}
			notices := strings.Join(n.notices(cat), "\n")
			if !strings.HasPrefix(notices, "ip=nonsense is ignored") || !strings.Contains(notices, c.notice) ||
				c.notice == "" && strings.Contains(notices, "bt.system") {
				t.Errorf("notices %q, want %q", notices, c.notice)
			}
		})
	}
}

// With timeout 0 nothing is shown, but for a default that this machine can't start.
func TestChooseAtOnce(t *testing.T) {
	n, p := newNode(t, "http://127.0.0.1:1")
	cat := listing(kexec("a"), kexec("b"))
	cat.Defaults.System = "a"
	choice, err := n.Choose(t.Context(), cat, false)
	if err != nil || choice != (decision.Decision{Action: decision.Start, System: "a"}) || n.Report.Snapshot().System != "a" {
		t.Fatalf("%+v, %v; report %+v", choice, err, n.Report.Snapshot())
	}
	if shown := p.all(); strings.Contains(shown, "Choose a system") {
		t.Errorf("a chooser was shown:\n%s", shown)
	}

	cat.Systems[0].Arch = "arm64"
	chosen := make(chan decision.Decision, 1)
	go func() {
		choice, err := n.Choose(t.Context(), cat, false)
		if err != nil {
			t.Error(err)
		}
		chosen <- choice
	}()
	p.see("The default system can't be started here")
	p.send("j\r")
	if got := <-chosen; got != (decision.Decision{Action: decision.Start, System: "b", ByPerson: true}) || n.console != "ttyS0" {
		t.Errorf("chose %+v at %q", got, n.console)
	}
}

func TestChooseActions(t *testing.T) {
	for keys, want := range map[string]decision.Decision{
		"s": {Action: decision.Shell, ByPerson: true}, "rr": {Action: decision.Reboot, ByPerson: true},
		"pp": {Action: decision.PowerOff, ByPerson: true}, "\r": {Action: decision.Start, System: "a", ByPerson: true},
	} {
		t.Run(keys, func(t *testing.T) {
			n, p := newNode(t, "")
			cat := listing(kexec("a"))
			cat.Defaults = catalog.Defaults{System: "a", Timeout: 0}
			chosen := make(chan decision.Decision, 1)
			go func() {
				choice, _ := n.Choose(t.Context(), cat, true)
				chosen <- choice
			}()
			p.see("System a")
			p.send(keys)
			if got := <-chosen; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}
