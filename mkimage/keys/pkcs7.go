package keys

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// What follows are the parts of a PKCS #7 SignedData (RFC 2315, 9.1) with one signer.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"optional"` // [0] EXPLICIT
	}
	signedData struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      contentInfo
		Certificates asn1.RawValue
		Signers      []signerInfo `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		Signer     issuerAndSerial
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional"` // [0] IMPLICIT
		Encryption pkix.AlgorithmIdentifier
		Signature  []byte
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []any `asn1:"set"`
	}
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	withSHA256       = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, Parameters: asn1.NullRawValue}
	withRSA          = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}
)

// detached is a SignedData whose content stands elsewhere, without attributes, as firmware takes it with variables. It has no
// ContentInfo around it: firmware before EDK II of 2019 looks for the digest's name at a fixed place.
func (k *Key) detached(content []byte) ([]byte, error) {
	s := k.signedData(contentInfo{Type: oidData})
	var err error
	if s.Signers[0].Signature, err = k.rsa(content); err != nil {
		return nil, err
	}
	return asn1.Marshal(s)
}

// enclosing is a ContentInfo with a SignedData that has its content in it: one ASN.1 value of a kind of its own, whose digest is that of
// the value without its tag and length (RFC 2315, 9.3). It has no time in it, so that the same content gives the same bytes.
func (k *Key) enclosing(kind asn1.ObjectIdentifier, content []byte) ([]byte, error) {
	var value asn1.RawValue
	if _, err := asn1.Unmarshal(content, &value); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(value.Bytes)
	attributes, err := asn1.MarshalWithParams([]attribute{{oidContentType, []any{kind}}, {oidMessageDigest, []any{digest[:]}}}, "set")
	if err != nil {
		return nil, err
	}
	s := k.signedData(contentInfo{kind, tagged(0, content)})
	if s.Signers[0].Signature, err = k.rsa(attributes); err != nil {
		return nil, err
	}
	var set asn1.RawValue
	if _, err := asn1.Unmarshal(attributes, &set); err != nil {
		return nil, err
	}
	s.Signers[0].Attributes = tagged(0, set.Bytes)
	der, err := asn1.Marshal(s)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfo{oidSignedData, tagged(0, der)})
}

// signedData is one of k's without a signature.
func (k *Key) signedData(content contentInfo) signedData {
	c := k.Certificate
	return signedData{
		Version: 1, Digests: []pkix.AlgorithmIdentifier{withSHA256}, Content: content, Certificates: tagged(0, c.Raw),
		Signers: []signerInfo{{
			Version: 1, Signer: issuerAndSerial{asn1.RawValue{FullBytes: c.RawIssuer}, c.SerialNumber}, Digest: withSHA256, Encryption: withRSA,
		}},
	}
}

// rsa signs by PKCS #1 v1.5 (RFC 8017, 8.2), which is deterministic.
func (k *Key) rsa(content []byte) ([]byte, error) {
	digest := sha256.Sum256(content)
	signature, err := rsa.SignPKCS1v15(nil, k.Private, crypto.SHA256, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.Certificate.Subject, err)
	}
	return signature, nil
}

// tagged is a constructed value with a context-specific tag around some bytes.
func tagged(tag int, inner []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
}
