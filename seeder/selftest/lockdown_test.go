package selftest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/secureboot"
	"github.com/boottorrent/boottorrent/internal/site"
)

// kexecSystem is a system whose kernel is signed like this.
func kexecSystem(name, arch string, signed *secureboot.File) site.System {
	return site.System{Name: name, Arch: arch, Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "vmlinuz", Signed: signed}}}
}

func signedBy(name, key string) *secureboot.File {
	return &secureboot.File{By: []secureboot.Signature{{Signer: name, Keys: []string{key}}}}
}

// makeKeys makes the certificate of a site's own key, and returns the key's identifier.
func makeKeys(t *testing.T, s *site.Site) (id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Room 12"}, SubjectKeyId: []byte{1, 2, 3, 4}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(s.Dir, site.KeysDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, site.DBCertificate), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return "01020304"
}

func TestLockdown(t *testing.T) {
	need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	s := newSite(t)
	in := Input{Site: s}
	const debian = "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1"
	expect(t, "nothing to start", in.lockdown())
	bin := site.System{Name: "bin", Arch: "amd64", Launch: catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "x"}}}
	s.Systems = []site.System{kexecSystem("debian", "amd64", signedBy("Debian", debian)), kexecSystem("unknown", "amd64", nil), bin}
	expect(t, "all is well", in.lockdown())

	s.Systems = append(s.Systems, kexecSystem("arch", "amd64", &secureboot.File{}), kexecSystem("nixos", "amd64", &secureboot.File{}),
		kexecSystem("ubuntu", "amd64", signedBy("Canonical", "ad91990b")))
	refused := "with Secure Boot on, machines refuse to start arch, nixos (its kernel is not signed), " +
		"ubuntu (its kernel is not signed by a key that the machine trusts (signed by: Canonical)); use a kernel of Debian's"
	expect(t, "nobody says that it is used", in.lockdown(), "note: "+refused)

	s.UEFI = site.UEFIShim
	expect(t, "the site says that it is used", in.lockdown(), "warning: "+refused)
	s.UEFI = site.UEFIAuto

	id := makeKeys(t, s)
	s.Systems = append(s.Systems, kexecSystem("own", "amd64", signedBy("Room 12", id)))
	expect(t, "own keys", in.lockdown(), "warning: "+refused,
		"note: with Secure Boot on, machines that start the signed boottorrent.efi without shim refuse to start debian (its kernel is not signed by")

	s.UEFI = site.UEFIUKI
	s.Systems = []site.System{kexecSystem("debian", "amd64", signedBy("Debian", debian)), kexecSystem("own", "amd64", signedBy("Room 12", id))}
	expect(t, "without shim", in.lockdown(), "warning: with Secure Boot on, machines refuse to start debian (its kernel is not signed by")

	write(t, filepath.Join(s.Dir, site.KeysDir, site.DBCertificate), "nonsense")
	s.Systems = nil
	expect(t, "own keys that can't be read", in.lockdown(), "warning: keys/db.crt can't be read")
}

// A system of the method root that wants phase 1's own kernel needs no kexec, whoever signed that.
func TestLockdownOfRoots(t *testing.T) {
	s := newSite(t)
	makeKeys(t, s)
	in := Input{Site: s}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vmlinuz"), "kernel")
	root := site.System{Name: "root", Arch: "amd64", Dir: dir, Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{
		Boot: &catalog.RootBoot{Kernel: "vmlinuz", Signed: &secureboot.File{}}}}}
	s.Systems = []site.System{root}
	expect(t, "another kernel", in.lockdown(), "warning: with Secure Boot on, machines refuse to start root (its kernel is not signed")
	writeImage(t, s, func(m *image.Made) {
		sum := sha256.Sum256([]byte("kernel"))
		m.SitePart.KernelSHA256 = hex.EncodeToString(sum[:])
	})
	expect(t, "the same kernel", in.lockdown())
	root.Launch.Root.Boot = nil
	writeImage(t, s, func(*image.Made) {})
	expect(t, "no kernel of its own", in.lockdown())
}

// Debian's kernel for arm64 has no call that verifies the kernel to be started.
func TestLockdownOfARM64(t *testing.T) {
	s := newSite(t)
	s.Systems = []site.System{kexecSystem("pi", "arm64", signedBy("Room 12", makeKeys(t, s)))}
	expect(t, "arm64", Input{Site: s}.lockdown(), "warning: with Secure Boot on, machines refuse to start pi (phase 1's kernel for the machine can't verify other kernels")
}
