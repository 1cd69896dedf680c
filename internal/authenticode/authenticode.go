// Package authenticode reads who signed a PE file, such as a Linux kernel or a boot loader for UEFI.
//
// In goes the file, out come its signatures as package secureboot compares them: the key identifiers of each one's certificates, and whether it
// is sound, which is that it belongs to these bytes and that the certificate's key made it. Whether a certificate is trusted is not asked here,
// nor whether it has expired: neither firmware nor Linux looks at the time.
//
// The formats are those of "Windows Authenticode Portable Executable Signature Format" (Microsoft, 2008), of the UEFI Specification 2.10, 32.2,
// and of PKCS #7 (RFC 2315). Where files can be understood in two ways, it is Linux's (crypto/asymmetric_keys/verify_pefile.c), since the answer
// is for kexec.
package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/smallstep/pkcs7"

	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// MaxFile is how many bytes of a file are read to verify its signatures: kernels have some 10 MB, those with everything in them 100.
const MaxFile = 512 << 20

// Read returns the signatures of the PE file of size bytes in r. What is no PE file, or is larger than MaxFile, is an error; of a file with more
// than [secureboot.MaxSignatures] those are left out that are behind.
func Read(r io.ReaderAt, size int64) (*secureboot.File, error) {
	image, err := parse(r, size)
	if err != nil {
		return nil, err
	}
	tables, err := image.signatures()
	if err != nil {
		return &secureboot.File{By: []secureboot.Signature{{Broken: err.Error()}}}, nil
	}
	f := &secureboot.File{}
	for _, der := range tables[:min(len(tables), secureboot.MaxSignatures)] {
		s, err := image.read(der)
		if err != nil {
			s.Broken = clip(err.Error())
		}
		f.By = append(f.By, s)
	}
	return f, nil
}

// read reads one signature. On an error it returns what is known of it.
func (i *image) read(der []byte) (s secureboot.Signature, err error) {
	p, err := parsePKCS7(der)
	if err != nil {
		return s, err
	}
	if len(p.Signers) != 1 {
		return s, fmt.Errorf("it has %d signers, and one is allowed", len(p.Signers))
	}
	chain, err := signers(p)
	s = describe(p, chain)
	if err != nil {
		return s, err
	}
	of, sum, err := signedDigest(p)
	if err != nil {
		return s, err
	}
	own, err := i.digest(of)
	switch {
	case err != nil:
		return s, err
	case !bytes.Equal(own, sum):
		return s, errChanged
	}
	if len(chain) == 0 {
		return s, nil // the kernel may have the certificate
	}
	if err := p.Verify(); err != nil {
		return s, fmt.Errorf("it is not by the key that it names (%w)", err)
	}
	return s, nil
}

var errChanged = errors.New("the file was changed after it was signed")

// parsePKCS7 parses a signature, behind which there may be zeros.
func parsePKCS7(der []byte) (*pkcs7.PKCS7, error) {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fmt.Errorf("it is no PKCS #7 message (%w)", err)
	}
	p, err := pkcs7.Parse(outer.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("it is no PKCS #7 message (%w)", err)
	}
	return p, nil
}

// signers are the certificates from the one that signed to the last that the signature brings.
func signers(p *pkcs7.PKCS7) (chain []*x509.Certificate, err error) {
	next := p.GetOnlySigner()
	for next != nil && len(chain) < secureboot.MaxKeys-1 {
		chain = append(chain, next)
		if selfIssued(next) {
			return chain, nil
		}
		parent := issuer(p, next)
		if parent == nil {
			return chain, nil
		}
		if err := parent.CheckSignature(next.SignatureAlgorithm, next.RawTBSCertificate, next.Signature); err != nil {
			return chain, fmt.Errorf("the certificate %q is not by its issuer (%w)", clip(name(next.Subject)), err)
		}
		next = parent
	}
	return chain, nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// issuer is the certificate of the signature that signed another one.
func issuer(p *pkcs7.PKCS7, of *x509.Certificate) *x509.Certificate {
	for _, c := range p.Certificates {
		same := len(of.AuthorityKeyId) == 0 || len(c.SubjectKeyId) == 0 || bytes.Equal(of.AuthorityKeyId, c.SubjectKeyId)
		if same && bytes.Equal(c.RawSubject, of.RawIssuer) {
			return c
		}
	}
	return nil
}

// describe tells who signed. Without certificates it is what the signature says of its signer.
func describe(p *pkcs7.PKCS7, chain []*x509.Certificate) (s secureboot.Signature) {
	if len(chain) == 0 {
		var by pkix.RDNSequence
		var issuer pkix.Name
		if _, err := asn1.Unmarshal(p.Signers[0].IssuerAndSerialNumber.IssuerName.FullBytes, &by); err == nil {
			issuer.FillFromRDNSequence(&by)
			s.Issuer = clip(name(issuer))
		}
		return s
	}
	s.Signer = clip(name(chain[0].Subject))
	for _, c := range chain {
		s.Keys = addKey(s.Keys, KeyOf(c).ID)
	}
	last := chain[len(chain)-1]
	if !selfIssued(last) {
		s.Issuer = clip(name(last.Issuer))
		s.Keys = addKey(s.Keys, hex.EncodeToString(last.AuthorityKeyId))
	}
	return s
}

// addKey adds an identifier unless it is none, or is longer than any that a catalog has.
func addKey(keys []string, id string) []string {
	if id == "" || len(id) > secureboot.MaxKey {
		return keys
	}
	return append(keys, id)
}

// name is what a person calls a certificate by.
func name(n pkix.Name) string {
	if n.CommonName != "" {
		return n.CommonName
	}
	return n.String()
}

// clip makes a text of a foreign file fit for a catalog.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > secureboot.MaxName {
		s = strings.ToValidUTF8(s[:secureboot.MaxName], "")
	}
	return s
}

// indirectData is Microsoft's SpcIndirectDataContent without its header: what the signature is of.
var indirectData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}

// digestInfo is DigestInfo of RFC 2315, 9.4.
type digestInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

// signedDigest is the digest of the file that was signed.
func signedDigest(p *pkcs7.PKCS7) (of crypto.Hash, sum []byte, err error) {
	var kind asn1.ObjectIdentifier
	if err := p.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &kind); err != nil || !kind.Equal(indirectData) {
		return 0, nil, errors.New("it is not of a PE file")
	}
	var data asn1.RawValue
	rest, err := asn1.Unmarshal(p.Content, &data)
	if err != nil {
		return 0, nil, fmt.Errorf("it does not say what it is of (%w)", err)
	}
	var digest digestInfo
	if _, err := asn1.Unmarshal(rest, &digest); err != nil {
		return 0, nil, fmt.Errorf("it does not say what it is of (%w)", err)
	}
	for _, h := range hashes {
		if digest.Algorithm.Algorithm.Equal(h.id) {
			return h.hash, digest.Digest, nil
		}
	}
	return 0, nil, fmt.Errorf("it uses the digest algorithm %s, which is not known here", digest.Algorithm.Algorithm)
}

var hashes = []struct {
	id   asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{pkcs7.OIDDigestAlgorithmSHA1, crypto.SHA1},
	{pkcs7.OIDDigestAlgorithmSHA256, crypto.SHA256},
	{pkcs7.OIDDigestAlgorithmSHA384, crypto.SHA384},
	{pkcs7.OIDDigestAlgorithmSHA512, crypto.SHA512},
}
