package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/secureboot"
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

// lockedDown is a kernel that Secure Boot has locked down, and that trusts Debian's key.
var lockedDown = secureboot.State{SecureBoot: true, Locked: true, KeysKnown: true, Trusted: []secureboot.Key{{Name: "Debian Secure Boot CA", ID: "6ccece7e"}}}

// signedBy is a kexec system whose kernel is signed by a key of that identifier.
func signedBy(name, key string) catalog.System {
	s := kexec(name)
	s.Launch.Kexec.Signed = &secureboot.File{By: []secureboot.Signature{{Signer: "signer of " + name, Keys: []string{key}}}}
	return s
}

// What a kernel that is locked down would refuse is listed with why, and everything else goes on.
func TestItemsUnderLockdown(t *testing.T) {
	n, _ := newNode(t, "")
	n.Image.KernelSHA256, n.mounts = "running", func(string) bool { return true }
	unsigned := kexec("unsigned")
	unsigned.Launch.Kexec.Signed = &secureboot.File{}
	root := func(name, kernel string, signed *secureboot.File) catalog.System {
		s := kexec(name)
		s.Launch = catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{Boot: &catalog.RootBoot{KernelSHA256: kernel, Signed: signed}}}
		return s
	}
	own := root("own", "", nil)
	own.Launch.Root.Boot = nil
	bin := kexec("bin")
	bin.Launch = catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "x"}}
	cat := listing(signedBy("debian", "6ccece7e"), signedBy("ubuntu", "ad91990b"), unsigned, kexec("old"), bin,
		root("other", "other", &secureboot.File{}), root("same", "running", &secureboot.File{}), own)
	want := map[string]string{
		"ubuntu":   "Secure Boot is on, and its kernel is not signed by a key that the machine trusts (signed by: signer of ubuntu)",
		"unsigned": "its kernel is not signed", "other": "its kernel is not signed",
	}
	for _, got := range n.items(cat) {
		if got.Unavailable != "" {
			t.Errorf("nothing is locked, and %s is unavailable: %s", got.Name, got.Unavailable)
		}
	}
	n.Secure = lockedDown
	for _, got := range n.items(cat) {
		why := want[got.Name]
		if (got.Unavailable == "") != (why == "") || !strings.Contains(got.Unavailable, why) || (got.Remedy == "") != (why == "") {
			t.Errorf("%s is unavailable because %q, want %q", got.Name, got.Unavailable, why)
		}
	}
}

// A default that would be refused is not counted down to, and is not fetched either where it follows another system.
func TestRefusedByLockdown(t *testing.T) {
	n, p := newNode(t, "http://127.0.0.1:1")
	n.Secure = lockedDown
	cat := listing(signedBy("a", "ad91990b"), signedBy("b", "6ccece7e"))
	cat.Defaults.System = "a"
	err := n.Fetch(t.Context(), cat.Systems[0])
	if !errors.Is(err, boot.ErrRefused) || !strings.Contains(err.Error(), "(signed by: signer of a)") {
		t.Errorf("fetched: %v", err)
	}
	chosen := make(chan decision.Decision, 1)
	go func() {
		choice, err := n.Choose(t.Context(), cat, false)
		if err != nil {
			t.Error(err)
		}
		chosen <- choice
	}()
	p.see("The default system can't be started here: Secure Boot is on")
	p.send("\r")
	p.see("System a can't be started here: Secure Boot is on")
	p.send("j\r")
	if got := <-chosen; got != (decision.Decision{Action: decision.Start, System: "b", ByPerson: true}) {
		t.Errorf("chose %+v", got)
	}
}

// What the kernel refused when it was tried, which an older catalog does not foresee, is not tried again.
func TestRefusalIsRemembered(t *testing.T) {
	n, _ := newNode(t, "")
	refused := fmt.Errorf("kexec: %w", unix.ENOKEY)
	old := kexec("old")
	if err := n.rememberRefusal(old, refused); errors.Is(err, boot.ErrRefused) || n.refuses(old) != nil {
		t.Errorf("nothing is locked, and it is a refusal: %v", err)
	}
	n.Secure = lockedDown
	if err := n.rememberRefusal(old, unix.ENOMEM); errors.Is(err, boot.ErrRefused) || n.refuses(old) != nil {
		t.Errorf("too little memory is a refusal: %v", err)
	}
	err := n.rememberRefusal(old, refused)
	if !errors.Is(err, boot.ErrRefused) || !errors.Is(err, unix.ENOKEY) {
		t.Errorf("a refusal: %v", err)
	}
	if got := n.items(listing(old))[0]; !strings.Contains(got.Unavailable, "not signed by a key that this machine trusts") {
		t.Errorf("it is listed as %+v", got)
	}
	title, _ := advice(report.Launch, err)
	if !strings.Contains(title, "does not start the kernel") {
		t.Errorf("the screen says %q", title)
	}
	if n.rememberRefusal(old, nil) != nil {
		t.Error("no error becomes one")
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
