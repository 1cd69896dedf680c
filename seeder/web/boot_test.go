package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// What mkimage renames into place is served at once, with an ETag of its own; a missing image says what to do.
func TestImageIsReplaced(t *testing.T) {
	s := newSite(t, nil)
	s.do("GET", catalog.PathKernel)
	image := filepath.Join(s.dir, "image")
	write(t, filepath.Join(image, "new"), "KERNEL")
	if err := os.Rename(filepath.Join(image, "new"), filepath.Join(image, "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	if w := s.do("GET", catalog.PathKernel); w.Body.String() != "KERNEL" || w.Header().Get("ETag") != `"`+sha("KERNEL")+`"` {
		t.Errorf("after the rename: %q, ETag %s", w.Body, w.Header().Get("ETag"))
	}
	if err := os.RemoveAll(image); err != nil {
		t.Fatal(err)
	}
	if w := s.do("GET", catalog.PathKernel); w.Code != 404 || !strings.Contains(w.Body.String(), "run mkimage DIR") {
		t.Errorf("without an image: %d %q", w.Code, w.Body)
	}
}

func TestBootFilesAreLogged(t *testing.T) {
	s := newSite(t, nil)
	s.do("GET", catalog.PathKernel)
	s.do("HEAD", catalog.PathInitrd)
	s.do("GET", catalog.PathScript)
	s.do("GET", catalog.BootPath("vmlinuz", sha("kernel")))
	if got := s.log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "client=192.0.2.1:1234 method=GET") != 2 ||
		!strings.Contains(got, "path=/boot/vmlinuz status=200 bytes=6") {
		t.Errorf("log: %s", got)
	}
}

func TestScriptHost(t *testing.T) {
	s := newSite(t, nil)
	for host, status := range map[string]int{
		"10.0.0.1": 200, "seeder.example:80": 200, "[fe80::1]:8080": 200,
		"": 400, "a b": 400, "x\nshell": 400, "${next-server}": 400, "a/b": 400, "user@host": 400, "h:123456": 400,
	} {
		r := httptest.NewRequest("GET", catalog.PathScript, nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != status || status == 200 && !strings.Contains(w.Body.String(), host) {
			t.Errorf("host %q: %d %q, want %d", host, w.Code, w.Body, status)
		}
	}
	s = newSite(t, func(c *Config) { c.Script = func(ScriptRequest) ([]byte, error) { return nil, errors.New("broken") } })
	if w := s.do("GET", catalog.PathScript); w.Code != 500 || !strings.Contains(s.log.String(), "broken") {
		t.Errorf("script that fails: %d, log %s", w.Code, s.log)
	}
}

// image fetches the boot script, and returns the paths of kernel and initramfs in it.
func (s *site) image(t *testing.T) (paths []string) {
	t.Helper()
	w := s.do("GET", catalog.PathScript)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(w.Body.String(), "set base http://10.0.0.1:8080\n") {
		t.Fatalf("script: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for line := range strings.Lines(w.Body.String()) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "kernel" || f[0] == "initrd") {
			paths = append(paths, strings.TrimPrefix(f[1], "${base}"))
		}
	}
	return paths
}

// What the boot script names is served. A node whose image is replaced between its kernel and its initramfs gets the
// other's from nowhere, and both when it loads the script again.
func TestScriptLeadsToOneImage(t *testing.T) {
	s := newSite(t, nil)
	fetch := func(path string) string {
		w := s.do("GET", path)
		return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
	}
	paths := s.image(t)
	if got := fetch(paths[0]); got != "200 kernel" {
		t.Errorf("kernel: %s", got)
	}
	write(t, filepath.Join(s.dir, "image/vmlinuz"), "new kernel")
	if got := fetch(paths[1]); got != "200 initramfs" {
		t.Errorf("initramfs before it is replaced: %s", got)
	}
	write(t, filepath.Join(s.dir, "image/initramfs.img"), "new initramfs")
	for _, path := range paths {
		if got := fetch(path); got != "404 the image was replaced; load /boot/boot.ipxe again" {
			t.Errorf("%s after the image was replaced: %s", path, got)
		}
	}
	paths = s.image(t)
	if got := fetch(paths[0]) + ", " + fetch(paths[1]); got != "200 new kernel, 200 new initramfs" {
		t.Errorf("by a new script: %s", got)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "image")); err != nil {
		t.Fatal(err)
	}
	if got := fetch(s.image(t)[0]); !strings.Contains(got, "run mkimage") {
		t.Errorf("without an image: %s", got)
	}
}

// A shim that came by HTTP gets what lies beside it, by the names that shims ask for.
func TestShimByHTTP(t *testing.T) {
	s := newSite(t, nil)
	files := map[string]string{}
	for name, content := range map[string]string{
		"x86_64-sb/snponly-shim.efi": "ipxe's shim", "x86_64-sb/snponly.efi": "signed ipxe", "snponly.efi": "unsigned ipxe",
		"shimx64.efi": "debian's shim", "grubx64.efi": "grub",
	} {
		files[name] = filepath.Join(s.dir, "loaders", name)
		write(t, files[name], content)
	}
	s.cfg.Loaders = func() map[string]string { return files }
	for _, c := range [][2]string{
		{"snponly.efi", "unsigned ipxe"}, {"x86_64-sb/snponly-shim.efi", "ipxe's shim"}, {"x86_64-sb/snponly.efi", "signed ipxe"},
		{"x86_64-sb/snponly-shim.efi", "ipxe's shim"}, {"ipxe.efi", "signed ipxe"},
		{"shimx64.efi", "debian's shim"}, {"/grubx64.efi", "grub"}, {"SHIMX64.EFI", "debian's shim"},
	} {
		if w := s.do("GET", catalog.PathBoot+c[0]); w.Code != 200 || w.Body.String() != c[1] {
			t.Errorf("%s: %d %q, want %q", c[0], w.Code, w.Body, c[1])
		}
	}
}

// What iPXE says of its machine in the query of the script comes out as facts; a query without a MAC address is none.
func TestScriptIsAskedForByMachine(t *testing.T) {
	var got ScriptRequest
	s := New(Config{Script: func(r ScriptRequest) ([]byte, error) { got = r; return []byte("#!ipxe\n"), nil }})
	get := func(query string) ScriptRequest {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, catalog.PathScript+query, nil)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		return got
	}
	r := get("?mac=52:54:00:AB:00:01&ip=10.0.0.5&uuid=B007B007-0000-4000-8000-000000000001&serial=a%20b%26c&manufacturer=QEMU&product=Standard%20PC&platform=pcbios")
	want := rules.Facts{
		MAC: "52:54:00:ab:00:01", UUID: "b007b007-0000-4000-8000-000000000001", Serial: "a b&c", Vendor: "QEMU", Model: "Standard PC",
		Addr: netip.MustParseAddr("10.0.0.5"), Arch: "amd64", Firmware: catalog.FirmwareBIOS,
	}
	if !r.Known || r.Machine != want {
		t.Errorf("known %v, %+v; want %+v", r.Known, r.Machine, want)
	}
	if r := get("?mac=52:54:00:ab:00:01&serial=&platform=efi"); !r.Known || r.Machine != (rules.Facts{MAC: "52:54:00:ab:00:01", Arch: "amd64", Firmware: catalog.FirmwareUEFI}) {
		t.Errorf("known %v, %+v; want UEFI and nothing but the MAC address", r.Known, r.Machine)
	}
	for _, query := range []string{"", "?mac=", "?mac=1", "?mac=52:54:00:ab:00:01:02:03", "?serial=x;y"} {
		if get(query).Known {
			t.Errorf("%q tells which machine it is", query)
		}
	}
}
