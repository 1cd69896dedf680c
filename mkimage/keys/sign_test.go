package keys

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
)

// newKey makes a key, and its certificate's file.
func newKey(t *testing.T) (*Key, string) {
	t.Helper()
	k, err := New("Room 12", "db", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k, write(t, "db.crt", encodePEM("CERTIFICATE", k.Certificate.Raw))
}

// write writes a file into a folder of its own.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sbverify verifies a file's signature by a certificate, or lists its signatures.
func sbverify(t *testing.T, args ...string) (string, error) {
	t.Helper()
	said, err := exec.Command(need.Command(t, "sbverify", "sbsigntool"), args...).CombinedOutput()
	return string(said), err
}

// unified is the name of the one that is ours.
const unified = "a unified kernel image"

// foreign are PE files that others made: without a signature, with one, and for another architecture.
func foreign(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for path, pkg := range map[string]string{
		uki.StubFile:                       "systemd-boot-efi",
		"/usr/lib/shim/shimx64.efi.signed": "shim-signed",
		"/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed":                       "grub-efi-amd64-signed",
		"/usr/lib/ipxe/snponly.efi":                                                   "ipxe",
		"/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux": "debian-installer-12-netboot-amd64",
	} {
		content, err := os.ReadFile(need.File(t, path, pkg))
		if err != nil {
			t.Fatal(err)
		}
		files[path] = content
	}
	image, _, err := uki.Build(uki.Image{
		Stub: files[uki.StubFile], OSRelease: "ID=boottorrent\n", Cmdline: "quiet", Release: "6.1", Kernel: make([]byte, 5000), Initrd: []byte("initramfs"),
	})
	if err != nil {
		t.Fatal(err)
	}
	files[unified] = image
	return files
}

func TestSign(t *testing.T) {
	k, certificate := newKey(t)
	other, otherCertificate := newKey(t)
	for name, image := range foreign(t) {
		signed, err := k.Sign(image)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		path := write(t, "signed.efi", signed)
		if said, err := sbverify(t, "--cert", certificate, path); err != nil || name == unified && strings.Contains(said, "gap") {
			t.Errorf("%s: %v: %s", name, err, said)
		}
		if said, err := sbverify(t, "--cert", otherCertificate, path); err == nil {
			t.Errorf("%s passes as signed by another key: %s", name, said)
		}
		if said, _ := sbverify(t, "--list", path); !strings.Contains(said, "CN=BootTorrent db") || strings.Contains(said, "signature 2") || strings.Contains(said, "Debian") {
			t.Errorf("%s: other signatures than ours:\n%s", name, said)
		}
		if again, err := k.Sign(signed); err != nil || !bytes.Equal(again, signed) || !k.Signed(signed) {
			t.Errorf("%s is changed by being signed again: %v", name, err)
		}
		if k.Signed(image) || other.Signed(signed) {
			t.Errorf("%s is taken for what a key has signed that has not", name)
		}
		path = write(t, "changed.efi", append(bytes.Clone(signed[:600]), append([]byte{signed[600] ^ 1}, signed[601:]...)...))
		if said, err := sbverify(t, "--cert", certificate, path); err == nil {
			t.Errorf("%s passes with a byte changed: %s", name, said)
		}
	}
}

// What sbsign has signed is signed by us as well as what it has not: the digests are the same.
func TestSignedByOthers(t *testing.T) {
	k, certificate := newKey(t)
	key := write(t, "db.key", encodePEM("PRIVATE KEY", mustPKCS8(t, k)))
	for name, image := range foreign(t) {
		ours, err := k.Sign(image)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out.efi")
		in := write(t, "in.efi", image)
		if said, err := exec.Command(need.Command(t, "sbsign", "sbsigntool"), "--key", key, "--cert", certificate, "--output", out, in).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, said)
		}
		theirs, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.Sign(theirs); err != nil || !bytes.Equal(again, ours) {
			t.Errorf("%s: what sbsign has signed becomes another file: %v", name, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	k, _ := newKey(t)
	whole, err := os.ReadFile(need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed"))
	if err != nil {
		t.Fatal(err)
	}
	for what, image := range map[string][]byte{
		"nothing": nil, "a text": []byte("MZ is how it begins"), "a gzip stream": append([]byte{0x1f, 0x8b}, make([]byte, 100)...),
		"a file that was cut off": whole[:len(whole)-100], "a file cut off in a section": whole[:len(whole)/2],
	} {
		if _, err := k.Sign(image); err == nil {
			t.Errorf("%s is signed", what)
		}
	}
}

func FuzzSign(f *testing.F) {
	k, err := New("Room 12", "db", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	if stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/linuxx64.efi.stub"); err == nil {
		f.Add(stub[:1024])
	}
	f.Add(minimalPE())
	f.Fuzz(func(t *testing.T, image []byte) {
		signed, err := k.Sign(image)
		if err == nil && !k.Signed(signed) {
			t.Errorf("what was signed is not taken for signed")
		}
	})
}

// minimalPE is a PE32+ file with headers alone.
func minimalPE() []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	b[peOffsetAt] = 0x40
	copy(b[0x40:], "PE\x00\x00\x64\x86")
	order.PutUint16(b[0x54:], 240) // SizeOfOptionalHeader
	order.PutUint16(b[0x58:], 0x20b)
	order.PutUint32(b[0x58+60:], 0x200) // SizeOfHeaders
	order.PutUint32(b[0x58+108:], 16)
	return b
}

func mustPKCS8(t *testing.T, k *Key) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
