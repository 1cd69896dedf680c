// Package keys is a site's own keys for Secure Boot (UEFI 2.10, chapter 32): it makes them ([Make]) in the forms that firmware and shim take
// them in, and signs with them what machines start ([Key.Sign]).
//
// There are three pairs. PK is whose machine it is, and allows to change KEK; KEK allows to change db; what db's key has signed is started. Each
// has a self-signed certificate. The formats are X.509, EFI_SIGNATURE_LIST and EFI_VARIABLE_AUTHENTICATION_2; the signatures are PKCS #7
// (RFC 2315) and have no time in them, so that what is signed is reproducible.
package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Key is a pair of keys with a certificate.
type Key struct {
	Certificate *x509.Certificate
	Private     *rsa.PrivateKey
}

// Bits is the length of the keys: every firmware takes RSA with 2048 bits (UEFI 2.10, 32.4.1), and not every one takes longer ones.
const Bits = 2048

// years is how long the certificates are valid. Firmware, shim and Linux don't look at it, but what people sign and list them with does.
const years = 30

// validBefore is since when before they are made: a clock that is behind by some hours would find them not valid yet.
const validBefore = 24 * time.Hour

// New makes a pair of keys with a certificate signed by itself. site is whose it is, role what it is for: PK, KEK or db.
func New(site, role string, now time.Time) (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, Bits)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	public := x509.MarshalPKCS1PublicKey(&private.PublicKey)
	id := sha1.Sum(public) // RFC 5280, 4.2.1.2, method 1
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{site}, CommonName: "BootTorrent " + role},
		NotBefore: now.Add(-validBefore), NotAfter: now.AddDate(years, 0, 0),
		BasicConstraintsValid: true, SubjectKeyId: id[:], AuthorityKeyId: id[:],
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &Key{certificate, private}, nil
}

// Signer is how manifests name k's certificate.
func (k *Key) Signer() *image.Signer {
	sum := sha256.Sum256(k.Certificate.Raw)
	return &image.Signer{Name: k.Certificate.Subject.CommonName, SHA256: hex.EncodeToString(sum[:])}
}

// Load reads what signs for the site in dir: the key of db. The error says what to do.
func Load(dir string) (*Key, error) {
	k, err := load(dir, DB)
	if err != nil {
		return nil, err
	}
	if k.Private == nil {
		return nil, fmt.Errorf("%s, which signs, is missing; put it there, or sign where it is", filepath.Join(dir, site.KeysDir, site.DBKey))
	}
	return k, nil
}

// load reads a pair of keys. Private is nil if the secret key is elsewhere.
func load(dir, role string) (*Key, error) {
	folder := filepath.Join(dir, site.KeysDir)
	file := filepath.Join(folder, role+".crt")
	der, err := readPEM(file, "CERTIFICATE")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; restore it from a backup, or make the site's keys with: "+self.Mkimage()+" keys %s", file, cli.Quote(dir))
	}
	if err != nil {
		return nil, err
	}
	k := &Key{}
	if k.Certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("%s is no certificate (%w); restore it from a backup", file, err)
	}
	secret := filepath.Join(folder, role+".key")
	if der, err = readPEM(secret, "PRIVATE KEY"); errors.Is(err, fs.ErrNotExist) {
		return k, nil
	} else if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s is no secret key (%w); restore it from a backup", secret, err)
	}
	var ok bool
	if k.Private, ok = private.(*rsa.PrivateKey); !ok {
		return nil, fmt.Errorf("%s is a secret key of another kind than RSA, which is what firmware knows", secret)
	}
	if !k.Private.PublicKey.Equal(k.Certificate.PublicKey) {
		return nil, fmt.Errorf("%s and %s don't belong together; restore the two that do from a backup", secret, file)
	}
	return k, nil
}

func readPEM(file, kind string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s has no PEM block %q in it; restore it from a backup", file, kind)
	}
	return block.Bytes, nil
}

// encodePEM is a PEM file with one block.
func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
