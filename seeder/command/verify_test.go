package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
)

// Verify finds every byte that is another than what was signed, and a catalog or manifest that the key did not sign.
func TestVerify(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(t.TempDir(), "boottorrent.pub")
	if err := os.WriteFile(pub, []byte(public.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "Room 12", Counter: 100}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("kernel"))
	manifest, err := (&catalog.BootManifest{Version: catalog.ManifestVersion, Counter: 101, Files: []catalog.BootFile{
		{Path: "vmlinuz", Arch: "amd64", Kind: catalog.KindKernel, Size: 6, SHA256: hex.EncodeToString(sum[:])},
		{Path: "a 100% safe?.efi", Kind: catalog.KindLoader, Size: 6, SHA256: hex.EncodeToString(sum[:])},
	}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	served := func(change map[string]string) string {
		files := map[string]string{
			catalog.PathCatalog: string(document), catalog.PathSignature: string(catalog.Sign(private, document)), catalog.PathManifest: string(manifest),
			catalog.PathManifestSignature: string(catalog.SignManifest(private, manifest)), "/boot/vmlinuz": "kernel", "/boot/a 100% safe?.efi": "kernel",
		}
		for path, content := range change {
			files[path] = content
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if files[r.URL.Path] == "" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, files[r.URL.Path])
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	var out bytes.Buffer
	if code := Program().Run(t.Context(), []string{"verify", served(nil), pub}, terminal{Out: &out, Err: t.Output()}); code != cli.ExitOK ||
		!regexp.MustCompile(`"Room 12" is signed by the key [0-9A-F]{16}, and has the counter 100\n.*: as the boot manifest with the counter 101 says: 2 boot files\n`).MatchString(out.String()) {
		t.Errorf("exit code %d: %s", code, &out)
	}
	for want, change := range map[string]map[string]string{
		"/boot/vmlinuz is not what was signed": {"/boot/vmlinuz": "kernal"},
		"longer than the 6 bytes":              {"/boot/vmlinuz": "kernel2"},
		"has 3 bytes, and 6 were signed":       {"/boot/vmlinuz": "ker"},
		"says: 1 boot file of 2":               {"/boot/vmlinuz": ""},
		"catalog.json: catalog: signature":     {catalog.PathSignature: string(catalog.Sign(foreign, document))},
		"manifest.json: boot manifest: signat": {catalog.PathManifestSignature: string(catalog.SignManifest(foreign, manifest))},
		"404 Not Found":                        {catalog.PathManifest: ""},
	} {
		if said := fails(t, "verify", served(change), pub); !strings.Contains(said, want) {
			t.Errorf("want %q, it said %q", want, said)
		}
	}
}

// An image that is replaced meanwhile is no false alarm: what counts is the manifest that is there afterwards.
func TestVerifyWhileTheImageIsReplaced(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(t.TempDir(), "boottorrent.pub")
	if err := os.WriteFile(pub, []byte(public.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	manifest := func(counter uint64, kernel string) []byte {
		sum := sha256.Sum256([]byte(kernel))
		document, err := (&catalog.BootManifest{Version: catalog.ManifestVersion, Counter: counter, Files: []catalog.BootFile{
			{Path: "vmlinuz", Arch: "amd64", Kind: catalog.KindKernel, Size: int64(len(kernel)), SHA256: hex.EncodeToString(sum[:])},
		}}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return document
	}
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "Room 12", Counter: 100}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for kernel, wrong := range map[string]bool{"new kernel": false, "swapped": true} {
		files := map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(private, document)}
		publish := func(manifest []byte) {
			files[catalog.PathManifest], files[catalog.PathManifestSignature] = manifest, catalog.SignManifest(private, manifest)
		}
		publish(manifest(101, "old kernel"))
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/boot/vmlinuz" {
				publish(manifest(102, "new kernel"))
				_, _ = io.WriteString(w, kernel)
				return
			}
			_, _ = w.Write(files[r.URL.Path])
		}))
		t.Cleanup(s.Close)
		var out, said bytes.Buffer
		code := Program().Run(t.Context(), []string{"verify", s.URL, pub}, terminal{Out: &out, Err: &said})
		if (code != cli.ExitOK) != wrong || !strings.Contains(out.String()+said.String(), "the counter 102 says") {
			t.Errorf("%s: exit code %d: %s%s", kernel, code, &out, &said)
		}
	}
}
