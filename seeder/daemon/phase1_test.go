package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
)

// writeImage writes an image, as mkimage does, by renaming it into place.
func writeImage(t *testing.T, dir string, fill byte) {
	t.Helper()
	for _, name := range phase1Files {
		at := filepath.Join(dir, site.ImageDir, name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at+".new", kernel(300<<10, fill), 0o644))
		must(t, os.Rename(at+".new", at))
	}
}

// The image is a runtime that nodes can fetch, under the paths by which the boot script names its files; a new one replaces it, and no system is
// listed for it. A site without helpers has none, nor has one that signs its image.
func TestPhase1IsARuntime(t *testing.T) {
	c := newClocked(t)
	name := catalog.Phase1Name(arch.AMD64)
	if cat := c.load(); len(cat.Runtimes) > 0 {
		t.Errorf("without an image there is %+v", cat.Runtimes)
	}
	var before catalog.InfoHash
	for _, fill := range []byte{'x', 'y'} {
		writeImage(t, c.site.Dir, fill)
		cat := c.load()
		r, ok := cat.Runtime(name)
		if !ok || r.InfoHash == before || !c.seeded(r.System) || len(cat.Systems) != 1 || r.Size != 2*300<<10 {
			t.Fatalf("%c: %+v", fill, cat.Runtimes)
		}
		before = r.InfoHash
		all := images(append(c.listings.get(name).version.Parts(), c.listings.get("one").version.Parts()...))
		if len(all) != 1 || len(all[0].Files) != 2 || all[0].InfoHash != r.InfoHash {
			t.Fatalf("images %+v", all)
		}
		for _, f := range all[0].Files {
			b, err := os.ReadFile(f.Name)
			if err != nil || int64(len(b)) != f.Size || !strings.HasPrefix(f.Path, catalog.PathBoot) || b[0] != fill {
				t.Errorf("%+v: %v", f, err)
			}
		}
	}
	for _, lines := range []string{"phase1: {helpers: off}", "sign_image: true", "uefi: uki"} {
		old, err := os.ReadFile(filepath.Join(c.site.Dir, site.ConfigFile))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(c.site.Dir, site.ConfigFile), append(old, lines+"\n"...), 0o644))
		if _, ok := c.load().Runtime(name); ok {
			t.Errorf("%s: the image is given to nodes", lines)
		}
		must(t, os.WriteFile(filepath.Join(c.site.Dir, site.ConfigFile), old, 0o644))
		if _, ok := c.load().Runtime(name); !ok {
			t.Errorf("without %s again: no image", lines)
		}
	}
}

// Over HTTP: the first machine gets the script with which it loads, the next one a line that it waits; when the first has loaded, the next one
// loads.
func TestMachinesTakeTurns(t *testing.T) {
	s := newSite(t)
	writeImage(t, s.Dir, 'x')
	r := start(t, load(t, s))
	r.await("the image", func(c *catalog.Catalog) bool { _, ok := c.Runtime(catalog.Phase1Name(arch.AMD64)); return ok })
	ask := func(host int, path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+path, nil)
		must(t, err)
		req.Header.Set("User-Agent", "iPXE/1.0.0+")
		resp, err := from(host).Do(req)
		must(t, err)
		defer resp.Body.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		must(t, err)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, resp.Status)
		}
		return b.String()
	}
	ask(2, catalog.PathBoot+image.Kernel) // who follows no script is served at any time
	first := ask(2, catalog.PathScript)
	if !strings.Contains(first, "kernel ${base}/boot/") || !strings.Contains(first, catalog.PathLoaded) {
		t.Fatalf("the first machine gets\n%s", first)
	}
	second := ask(3, catalog.PathScript)
	if !strings.Contains(second, "echo waiting: 1 machine loads phase 1 before this one\n") || strings.Contains(second, "kernel ${base}") {
		t.Fatalf("the second machine gets\n%s", second)
	}
	ask(2, catalog.PathLoaded)
	if again := ask(3, catalog.PathScript); !strings.Contains(again, "kernel ${base}/boot/") {
		t.Errorf("the first has loaded, and the second gets\n%s", again)
	}
}

// from is a client with an address of loopback.
func from(host int) *http.Client {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(host))}
	return &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: local}).DialContext, DisableKeepAlives: true}}
}

// A report with a phase 1 that nobody asked for brings no machine there, and is answered as ever.
func TestUnaskedHelp(t *testing.T) {
	s := newSite(t)
	writeImage(t, s.Dir, 'x')
	r := start(t, load(t, s))
	body, err := json.Marshal(report.Report{
		Boot: "1", MAC: "52:54:00:00:00:01", IP: "127.0.0.1", Arch: "amd64", Step: report.Fetch, State: report.Running,
		Phase1: &report.Phase1{Port: 6882, Image: strings.Repeat("0a", 20)},
	})
	must(t, err)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.base+catalog.PathReport, bytes.NewReader(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get(report.HelpHeader) != "" {
		t.Errorf("%s, asked %q", resp.Status, resp.Header.Get(report.HelpHeader))
	}
	script := string(r.get(catalog.PathScript))
	if strings.Contains(script, "6882") {
		t.Errorf("a machine is sent to a node that was not asked:\n%s", script)
	}
}

// Tracker and helpers go by the same networks: the smallest rack, then the interface's; behind a router one of /24, which is not the seeder's.
func TestNetworkOfAMachine(t *testing.T) {
	prefix := netip.MustParsePrefix
	d := &daemon{Options: Options{Site: &site.Site{Racks: []netip.Prefix{prefix("10.0.0.0/16"), prefix("10.0.7.0/24"), prefix("10.8.0.0/20")}}}}
	d.on.Store(&[]Interface{{Addr: prefix("10.0.0.1/14")}})
	for addr, want := range map[string]struct {
		network string
		own     bool
	}{
		"10.0.7.9": {"10.0.7.0/24", true}, "10.0.8.9": {"10.0.0.0/16", true}, "10.1.0.9": {"10.0.0.0/14", true},
		"10.8.9.9": {"10.8.0.0/20", true}, "10.9.9.9": {"10.9.9.0/24", false}, "192.168.1.7": {"192.168.1.0/24", false},
	} {
		network, own := d.network(netip.MustParseAddr(addr))
		if network.String() != want.network || own != want.own || d.group(netip.MustParseAddr(addr)) != network {
			t.Errorf("%s is in %s (the seeder's own: %v), want %s (%v)", addr, network, own, want.network, want.own)
		}
	}
}
