package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/templates/ipxe"
)

const secret = "nobody may read this"

// site is a server with a published release and files of a site around it, and a log to read.
type site struct {
	*Server
	dir string
	log *bytes.Buffer
}

var hash1, hash2 = catalog.InfoHash{1}, catalog.InfoHash{2}

func newSite(t testing.TB, change func(*Config)) *site {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"image/vmlinuz": "kernel", "image/initramfs.img": "initramfs", "ipxe/snponly.signed": "efi loader",
		"ipxe/undionly.kpxe": "bios loader", "oss/tiny/vmlinuz": "tiny kernel", "oss/tiny/sub/a b%c": "tiny file",
		"oss/tiny/changed": "was longer", "oss/tiny/config.yaml": secret, "secret": secret, "oss/other/secret": secret,
	} {
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Symlink("../../secret", filepath.Join(dir, "oss/tiny/link")); err != nil {
		t.Fatal(err)
	}
	s := &site{dir: dir, log: &bytes.Buffer{}}
	boot := bootfiles.New(filepath.Join(dir, "image"))
	cfg := Config{
		Log:  slog.New(slog.NewTextHandler(s.log, nil)),
		Boot: boot,
		Loaders: func() map[string]string {
			return map[string]string{
				"snponly.efi": filepath.Join(dir, "ipxe/snponly.signed"), "undionly.kpxe": filepath.Join(dir, "ipxe/undionly.kpxe"),
				"gone.efi": filepath.Join(dir, "ipxe/gone.efi"), "dir.efi": dir, "x86_64-sb/ipxe.efi": filepath.Join(dir, "ipxe/snponly.signed"),
			}
		},
		Script: func(r ScriptRequest) ([]byte, error) {
			return ipxe.Script(ipxe.Params{
				Base: "http://" + r.Host, Kernel: boot.Path(r.Arch, image.Kernel), Initrd: boot.Path(r.Arch, image.Initramfs),
			})
		},
		Announce: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "announce by ", r.Method)
		}),
	}
	if change != nil {
		change(&cfg)
	}
	s.Server = New(cfg)
	return s
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// release is one with the system "tiny" under the infohash h.
func (s *site) release(h catalog.InfoHash) *Release {
	file := func(path, content string) catalog.File {
		return catalog.File{Path: path, Size: int64(len(content)), SHA256: sha(content)}
	}
	return &Release{
		Site: "Room 12", Catalog: []byte("catalog of " + h.String()), Signature: []byte("signature of " + h.String()),
		Torrents: map[catalog.InfoHash]Torrent{h: {
			Metainfo: []byte("metainfo of " + h.String()),
			Dir:      filepath.Join(s.dir, "oss"),
			FileList: []byte("list of " + h.String()),
			System:   catalog.System{Name: "tiny", Title: "Tiny & small", InfoHash: h},
			Files: catalog.FileList{
				file("vmlinuz", "tiny kernel"), file("sub/a b%c", "tiny file"), file("changed", "was much longer"),
				file("link", secret), file("missing", "?"), file("../secret", secret),
			},
		}},
	}
}

func (s *site) do(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://10.0.0.1:8080/", nil)
	if u, err := r.URL.Parse(path); err == nil {
		r.URL = u
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPaths(t *testing.T) {
	s := newSite(t, nil)
	s.Publish(s.release(hash1))
	systems := catalog.WebSeedPath(hash1)
	for name, c := range map[string]struct {
		path   string
		status int
		// body is all of it if the status is 200, else a part.
		body, contentType string
	}{
		"catalog":        {catalog.PathCatalog, 200, "catalog of " + hash1.String(), "application/json"},
		"signature":      {catalog.PathSignature, 200, "signature of " + hash1.String(), "text/plain; charset=utf-8"},
		"files":          {catalog.FileListPath(hash1), 200, "list of " + hash1.String(), "application/json"},
		"torrent":        {catalog.TorrentPath(hash1), 200, "metainfo of " + hash1.String(), "application/x-bittorrent"},
		"kernel":         {catalog.PathKernel, 200, "kernel", "application/octet-stream"},
		"initramfs":      {catalog.PathInitrd, 200, "initramfs", "application/octet-stream"},
		"by content":     {catalog.BootPath("vmlinuz", sha("kernel")), 200, "kernel", "application/octet-stream"},
		"EFI loader":     {"/boot/snponly.efi", 200, "efi loader", "application/efi"},
		"VESA's program": {"/boot/vesa", 200, string(ipxe.VESA), "application/octet-stream"},
		"BIOS loader":    {"/boot/undionly.kpxe", 200, "bios loader", "application/octet-stream"},
		"file":           {systems + "tiny/vmlinuz", 200, "tiny kernel", "application/octet-stream"},
		"other file":     {systems + "tiny/sub/a%20b%25c", 200, "tiny file", "application/octet-stream"},
		"announce":       {catalog.PathAnnounce, 200, "announce by GET", "text/plain; charset=utf-8"},

		"no handler":            {catalog.PathScrape, 404, "/ shows what there is", ""},
		"elsewhere":             {"/elsewhere", 404, "/ shows what there is", ""},
		"missing loader":        {"/boot/gone.efi", 404, "install the package", ""},
		"a loader that is none": {"/boot/dir.efi", 500, "see its log", ""},
		"unknown boot file":     {"/boot/passwd", 404, "vmlinuz, initramfs.img, boottorrent.efi, httpboot.img, boot.ipxe, dir.efi", ""},
		"other content":         {catalog.BootPath("vmlinuz", sha("initramfs")), 404, "the image was replaced", ""},
		"loader in a folder":    {"/boot/folder/undionly.kpxe", 200, "bios loader", "application/octet-stream"},
		"boot folder":           {"/boot/", 404, "no such boot file", ""},
		"other torrent":         {catalog.TorrentPath(hash2), 404, "no such torrent", ""},
		"torrent without end":   {"/torrents/" + hash1.String(), 404, "no such torrent", ""},
		"systems folder":        {systems, 404, "no such file", ""},
		"system's folder":       {systems + "tiny/", 404, "no such file", ""},
		"another system":        {systems + "other/secret", 404, "no such file", ""},
		"not in the catalog":    {systems + "tiny/config.yaml", 404, "no such file", ""},
		"missing file":          {systems + "tiny/missing", 404, "missing at the seeder", ""},
		"changed file":          {systems + "tiny/changed", 404, "was changed", ""},
		"link that leaves":      {systems + "tiny/link", 404, "see its log", ""},
		"climbing":              {systems + "tiny/..%2Fsecret", 404, "", ""},
		"climbing further":      {systems + "tiny/..%2F..%2Fsecret", 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do("GET", c.path)
			ok := w.Body.String() == c.body && w.Header().Get("Content-Type") == c.contentType &&
				w.Header().Get("Content-Length") == fmt.Sprint(len(c.body))
			if name == "announce" {
				ok = w.Body.String() == c.body
			}
			if c.status != 200 {
				ok = strings.Contains(w.Body.String(), c.body) && !strings.Contains(w.Body.String(), secret)
			}
			if w.Code != c.status || !ok {
				t.Errorf("%d %v %q, want %d %q %q", w.Code, w.Header(), w.Body, c.status, c.contentType, c.body)
			}
			s.checkMethods(t, c.path, w)
		})
	}
}

// checkMethods compares HEAD with what GET answered, and wants nothing to be deletable.
func (s *site) checkMethods(t *testing.T, path string, get *httptest.ResponseRecorder) {
	t.Helper()
	if head := s.do("HEAD", path); head.Code != get.Code || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
		t.Errorf("HEAD answers %d %v, GET %d %v", head.Code, head.Header(), get.Code, get.Header())
	}
	if w := s.do("DELETE", path); path != catalog.PathAnnounce && w.Code != http.StatusMethodNotAllowed && w.Code != 404 {
		t.Errorf("DELETE answers %d", w.Code)
	}
}

func TestRangesAndETags(t *testing.T) {
	s := newSite(t, nil)
	s.Publish(s.release(hash1))
	file := catalog.WebSeedPath(hash1) + "tiny/vmlinuz"
	for path, tag := range map[string]string{
		file: sha("tiny kernel"), catalog.PathKernel: sha("kernel"), catalog.PathCatalog: sha("catalog of " + hash1.String()),
	} {
		if got := s.do("GET", path).Header().Get("ETag"); got != `"`+tag+`"` {
			t.Errorf("%s: ETag %s, want %q", path, got, tag)
		}
		if w := s.do("GET", path, "If-None-Match", `"`+tag+`"`); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s with If-None-Match: %d", path, w.Code)
		}
	}
	if w := s.do("GET", file, "Range", "bytes=5-"); w.Code != http.StatusPartialContent || w.Body.String() != "kernel" {
		t.Errorf("range: %d %q", w.Code, w.Body)
	}
	if w := s.do("GET", file, "Range", "bytes=5-", "If-Range", `"an older one"`); w.Code != http.StatusOK {
		t.Errorf("range of another version: %d", w.Code)
	}
	if w := s.do("GET", file, "Range", "bytes=99-"); w.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("range behind the end: %d", w.Code)
	}
}

func TestPublishAndRetire(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{catalog.PathCatalog, catalog.PathSignature} {
		if w := s.do("GET", path); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s before the first release: %d %v", path, w.Code, w.Header())
		}
	}
	old, current := catalog.TorrentPath(hash1), catalog.TorrentPath(hash2)
	status := func() string { return fmt.Sprint(s.do("GET", old).Code, " ", s.do("GET", current).Code) }
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "404 404"},
		{func() { s.Publish(s.release(hash1)) }, "200 404"},
		{func() { s.Publish(s.release(hash2)) }, "200 200"},
		{func() { s.Retire(hash2) }, "200 200"},
		{func() { s.Retire(hash1) }, "404 200"},
	} {
		step.do()
		if got := status(); got != step.want {
			t.Fatalf("old and current torrent: %s, want %s", got, step.want)
		}
	}
	if got := s.do("GET", catalog.PathCatalog).Body.String(); got != "catalog of "+hash2.String() {
		t.Errorf("catalog %q", got)
	}
}
