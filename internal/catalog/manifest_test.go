package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// exampleManifest is one with every field set.
func exampleManifest() *BootManifest {
	sum := strings.Repeat("ab", 32)
	return &BootManifest{
		Version: ManifestVersion, Site: "lab", Counter: 1795420801,
		Files: []BootFile{
			{"arm64/vmlinuz", arch.ARM64, KindKernel, 7, sum}, {"shimx64.efi", arch.AMD64, KindLoader, 5, sum}, {"vmlinuz", arch.AMD64, KindKernel, 9, sum},
		},
		Runtimes: []BootRuntime{{"qemu", InfoHash{4, 5}, List{sum, 3}, 12}, {"tiny", InfoHash{6}, List{sum, 2}, 13}},
	}
}

func TestManifestRoundTrip(t *testing.T) {
	public, private := newKey(t)
	document, err := exampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenManifest(public, document, SignManifest(private, document))
	if err != nil {
		t.Fatal(err)
	}
	if want := exampleManifest(); !reflect.DeepEqual(got, want) {
		t.Errorf("what was opened differs from what was encoded:\n%+v\n%+v", got, want)
	}
	shuffled := exampleManifest()
	slices.Reverse(shuffled.Files)
	slices.Reverse(shuffled.Runtimes)
	if again, err := shuffled.Encode(); err != nil || !bytes.Equal(again, document) {
		t.Errorf("the same files in another order give another document (%v):\n%s", err, again)
	}
	if empty, err := (&BootManifest{Version: ManifestVersion}).Encode(); err != nil || !bytes.Contains(empty, []byte(`"files": []`)) {
		t.Errorf("a manifest of nothing is %s, %v", empty, err)
	}
}

// One key signs catalogs and manifests; neither passes for the other.
func TestManifestIsNoCatalog(t *testing.T) {
	public, private := newKey(t)
	manifest, err := exampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(public, manifest, SignManifest(private, manifest)); err == nil || !strings.Contains(err.Error(), "version 0") {
		t.Errorf("a manifest as a catalog: %v", err)
	}
	document := mustEncode(t, example())
	if _, err := OpenManifest(public, document, Sign(private, document)); err == nil || !strings.Contains(err.Error(), "version 0") {
		t.Errorf("a catalog as a manifest: %v", err)
	}
}

func TestOpenManifestRefuses(t *testing.T) {
	public, private := newKey(t)
	_, other := newKey(t)
	document, err := exampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Replace(document, []byte(`"size": 9`), []byte(`"size": 8`), 1)
	for name, c := range map[string]struct{ document, signature []byte }{
		"another key": {document, SignManifest(other, document)}, "a changed document": {flipped, SignManifest(private, document)}, "no signature": {document, nil},
	} {
		if _, err := OpenManifest(public, c.document, c.signature); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := make([]byte, MaxManifest+1)
	if _, err := OpenManifest(public, huge, SignManifest(private, huge)); err == nil || !strings.Contains(err.Error(), "are read") {
		t.Errorf("a document of %d bytes: %v", len(huge), err)
	}
}

func TestManifestValidate(t *testing.T) {
	for want, change := range map[string]func(*BootManifest){
		"version 2":      func(m *BootManifest) { m.Version = 2 },
		"counter":        func(m *BootManifest) { m.Counter = MaxCounter + 1 },
		"control":        func(m *BootManifest) { m.Site = "a\nb" },
		"leaves":         func(m *BootManifest) { m.Files[0].Path = "../vmlinuz" },
		"no architect":   func(m *BootManifest) { m.Files[0].Arch = "vax" },
		"of kind":        func(m *BootManifest) { m.Files[0].Kind = "" },
		"-1 bytes":       func(m *BootManifest) { m.Files[0].Size = -1 },
		"is not a SHA":   func(m *BootManifest) { m.Files[0].SHA256 = "ab" },
		"is there twice": func(m *BootManifest) { m.Files[0].Path = m.Files[2].Path },
		"out of order":   func(m *BootManifest) { m.Runtimes[1].Name = m.Runtimes[0].Name },
		"plain folder":   func(m *BootManifest) { m.Runtimes[0].Name = "a/b" },
		"its list":       func(m *BootManifest) { m.Runtimes[0].List.SHA256 = "" },
		"501 files":      func(m *BootManifest) { m.Files = slices.Repeat(m.Files[:1], MaxBootFiles+1) },
	} {
		m := exampleManifest()
		change(m)
		if _, err := m.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// What is longest of everything fits.
func TestManifestFits(t *testing.T) {
	m := &BootManifest{Version: ManifestVersion, Site: strings.Repeat("s", MaxName), Counter: MaxCounter}
	for i := range MaxBootFiles {
		m.Files = append(m.Files, BootFile{fmt.Sprintf("arm64/%0100d.efi", i), arch.ARM64, KindInitramfs, MaxBootFile, strings.Repeat("f", 64)})
	}
	for i := range MaxSystems {
		m.Runtimes = append(m.Runtimes, BootRuntime{fmt.Sprintf("%0*d", MaxName, i), InfoHash{}, List{strings.Repeat("f", 64), MaxFiles}, MaxSize})
	}
	if _, err := m.Encode(); err != nil {
		t.Error(err)
	}
}

// FuzzOpenManifest looks for a document or signature that makes OpenManifest panic, or that it accepts without the key.
func FuzzOpenManifest(f *testing.F) {
	public, private := newKey(f)
	document, err := exampleManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document, SignManifest(private, document))
	f.Add([]byte("{}"), []byte("untrusted comment: x\n"))
	f.Fuzz(func(t *testing.T, d, s []byte) {
		if m, err := OpenManifest(public, d, s); err == nil && string(d) != string(document) {
			t.Errorf("accepted %q: %v", d, m)
		}
	})
}

// FuzzDecodeManifest looks for a document that passes validation and names what a mirror must not write.
func FuzzDecodeManifest(f *testing.F) {
	document, err := exampleManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Fuzz(func(t *testing.T, d []byte) {
		m, err := decodeManifest(d)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if !path.IsAbs(path.Join(PathBoot, file.Path)) || !strings.HasPrefix(path.Join(PathBoot, file.Path), PathBoot) || file.Size < 0 {
				t.Errorf("%+v leaves %s", file, PathBoot)
			}
		}
		if _, err := m.Encode(); err != nil {
			t.Errorf("what was opened can't be encoded: %v", err)
		}
	})
}
