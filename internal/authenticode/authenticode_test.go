package authenticode

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// program is a PE32+ file with one section and some bytes behind it.
func program() []byte {
	const peAt, align = 64, 0x200
	b := make([]byte, 2*align)
	put16 := func(at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	copy(b, "MZ")
	put32(peOffsetAt, peAt)
	copy(b[peAt:], "PE\x00\x00")
	put16(peAt+4, 0x8664) // x86-64
	put16(peAt+6, 1)
	put16(peAt+20, directories64+16*8)
	put16(peAt+22, 0x22e)
	optional := peAt + coffSize
	put16(optional, 0x20b)
	put32(optional+16, 0x1000) // entry point
	put32(optional+32, 0x1000)
	put32(optional+36, align)
	put32(optional+56, 0x2000)
	put32(optional+sizeOfHeadersAt, align)
	put16(optional+68, 10) // an EFI application
	put32(optional+directories64-4, 16)
	s := b[optional+directories64+16*8:]
	copy(s, ".text")
	binary.LittleEndian.PutUint32(s[8:], align)
	binary.LittleEndian.PutUint32(s[12:], 0x1000)
	binary.LittleEndian.PutUint32(s[16:], align)
	binary.LittleEndian.PutUint32(s[20:], align)
	binary.LittleEndian.PutUint32(s[36:], 0x60000020)
	copy(b[align:], "\xc3 what is to be signed")
	return b
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// signer is a key with a certificate, in files.
type signer struct{ key, cert string }

func newSigner(t testing.TB, name string, options ...string) signer {
	t.Helper()
	dir := t.TempDir()
	s := signer{filepath.Join(dir, "db.key"), filepath.Join(dir, "db.crt")}
	openssl := need.Command(t, "openssl", "openssl")
	run(t, openssl, append([]string{"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", s.key, "-out", s.cert, "-days", "30", "-subj", "/CN=" + name}, options...)...)
	return s
}

// sign adds a signature to a file by sbsign.
func (s signer) sign(t testing.TB, file []byte) []byte {
	t.Helper()
	sbsign := need.Command(t, "sbsign", "sbsigntool")
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	if err := os.WriteFile(from, file, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, sbsign, "--key", s.key, "--cert", s.cert, "--output", to, from)
	signed, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func read(t testing.TB, file []byte) []secureboot.Signature {
	t.Helper()
	f, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Validate(); err != nil {
		t.Errorf("a catalog can't carry it: %v", err)
	}
	return f.By
}

func TestRead(t *testing.T) {
	site, other := newSigner(t, "lab"), newSigner(t, "other")
	text, err := os.ReadFile(site.cert)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := KeysOfPEM(text)
	if err != nil || len(keys) != 1 || keys[0].Name != "lab" {
		t.Fatalf("the certificate's key is %v, %v", keys, err)
	}
	own := secureboot.Signature{Signer: "lab", Keys: []string{keys[0].ID}}
	plain := program()
	signed := site.sign(t, plain)
	if got := read(t, plain); len(got) != 0 {
		t.Errorf("a file that nobody signed is signed by %+v", got)
	}
	same := func(what string, got secureboot.Signature, want secureboot.Signature) {
		t.Helper()
		// openssl's authority key identifier is the certificate's own.
		if got.Signer != want.Signer || got.Issuer != want.Issuer || !slices.Equal(got.Keys, want.Keys) || got.Broken != want.Broken {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	got := read(t, signed)
	if len(got) != 1 {
		t.Fatalf("one signature: %+v", got)
	}
	same("signed", got[0], own)

	both := read(t, other.sign(t, signed))
	if len(both) != 2 || both[1].Signer != "other" || both[1].Broken != "" {
		t.Fatalf("two signatures: %+v", both)
	}
	same("the first of two", both[0], own)

	broken := own
	broken.Broken = errChanged.Error()
	for name, at := range map[string]int{"in a section": 0x210, "in the headers": 0x180, "in the DOS stub": 4} {
		changed := bytes.Clone(signed)
		changed[at] ^= 1
		same("changed "+name, read(t, changed)[0], broken)
	}
	checksum := bytes.Clone(signed)
	checksum[64+coffSize+checksumAt] ^= 1
	same("another checksum, which is not signed", read(t, checksum)[0], own)

	forged := bytes.Clone(signed)
	forged[len(forged)-20] ^= 1 // in the signature itself, which is the last that is in the table
	if got := read(t, forged); len(got) != 1 || !strings.Contains(got[0].Broken, "not by the key that it names") {
		t.Errorf("a forged signature: %+v", got)
	}
	for _, n := range []int{1, 8, 100, 900} {
		if got := read(t, signed[:len(signed)-n]); len(got) != 1 || got[0].Broken == "" {
			t.Errorf("%d bytes cut off: %+v", n, got)
		}
	}
}

func TestNotPE(t *testing.T) {
	for name, file := range map[string][]byte{"nothing": {}, "text": []byte("#!/bin/sh\n"), "DOS": append([]byte("MZ"), make([]byte, 200)...), "cut off": program()[:100]} {
		if _, err := Read(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrNotPE) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(bytes.NewReader(nil), MaxFile+1); err == nil || errors.Is(err, ErrNotPE) {
		t.Errorf("a file that is too large: %v", err)
	}
}

// A key without an identifier is named by its serial number, as in /proc/keys.
func TestKeyWithoutIdentifier(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bare := &x509.Certificate{SerialNumber: big.NewInt(0xF1020304), Subject: pkix.Name{Organization: []string{"bare"}}}
	der, err := x509.CreateCertificate(rand.Reader, bare, bare, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := KeysOfPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil || len(keys) != 1 || keys[0].ID != "00f1020304" {
		t.Errorf("the key is %v, %v", keys, err)
	}
}

// sbverify is the referee for what Debian has signed: programs for UEFI, with one signature and with two, and their issuers.
func TestSbverifyAgrees(t *testing.T) {
	sbverify := need.Command(t, "sbverify", "sbsigntool")
	issuers := regexp.MustCompile(`issuer: .*CN=(.*)`)
	for path, pkg := range map[string]string{
		"/usr/lib/shim/shimx64.efi.signed":                      "shim-signed",
		"/usr/lib/shim/mmx64.efi.signed":                        "shim-helpers-amd64-signed",
		"/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed": "grub-efi-amd64-signed",
		"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed":    "grub-efi-amd64-signed",
		"/usr/lib/shim/shimx64.efi":                             "shim-unsigned",
	} {
		file, err := os.ReadFile(need.File(t, path, pkg))
		if err != nil {
			t.Fatal(err)
		}
		list, _ := exec.Command(sbverify, "--list", path).CombinedOutput() // fails where there is none
		got := read(t, file)
		if want := strings.Count(string(list), "image signature issuers"); len(got) != want {
			t.Errorf("%s has %d signatures, sbverify sees %d", path, len(got), want)
		}
		for _, s := range got {
			if s.Broken != "" || len(s.Keys) < 2 {
				t.Errorf("%s: %+v", path, s)
			}
			named := slices.ContainsFunc(issuers.FindAllStringSubmatch(string(list), -1), func(m []string) bool { return m[1] == s.Issuer })
			if !named {
				t.Errorf("%s is signed by %s, and sbverify says\n%s", path, s, list)
			}
		}
	}
}

// Debian's shim brings the key that Debian's GRUB is signed by.
func TestVendorKey(t *testing.T) {
	shim, err := os.Open(need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed"))
	if err != nil {
		t.Fatal(err)
	}
	defer shim.Close()
	key, err := VendorKey(shim)
	if err != nil || key.Name != "Debian Secure Boot CA" {
		t.Fatalf("shim's vendor is %v, %v", key, err)
	}
	grub, err := os.ReadFile(need.File(t, "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed"))
	if err != nil {
		t.Fatal(err)
	}
	if by := read(t, grub); len(by) == 0 || !slices.Contains(by[0].Keys, key.ID) {
		t.Errorf("GRUB is signed by %+v, and shim trusts %v", by, key)
	}
	if _, err := VendorKey(bytes.NewReader(program())); err == nil {
		t.Error("another program has a vendor's certificate")
	}
}

// FuzzRead gives foreign bytes to Read: it must not panic, and say what a catalog can carry.
func FuzzRead(f *testing.F) {
	f.Add(program())
	if _, err := exec.LookPath("sbsign"); err == nil {
		signed := newSigner(f, "lab").sign(f, program())
		f.Add(signed)
		f.Add(newSigner(f, "other").sign(f, signed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		signed, err := Read(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		if err := signed.Validate(); err != nil {
			t.Error(err)
		}
	})
}
