package authenticode

import (
	"crypto/x509"
	"debug/pe"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// KeyOf is a certificate's key as kernels name it that trust the certificate: by the subject key identifier, or without one by the serial number
// (x509_key_preparse in crypto/asymmetric_keys/x509_public_key.c).
func KeyOf(c *x509.Certificate) secureboot.Key {
	id := c.SubjectKeyId
	if len(id) == 0 {
		if der, err := asn1.Marshal(c.SerialNumber); err == nil {
			var serial asn1.RawValue
			if _, err := asn1.Unmarshal(der, &serial); err == nil {
				id = serial.Bytes
			}
		}
	}
	return secureboot.Key{Name: clip(name(c.Subject)), ID: hex.EncodeToString(id)}
}

// KeysOfPEM are the keys of the certificates in a PEM file (RFC 7468).
func KeysOfPEM(text []byte) (keys []secureboot.Key, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys = append(keys, KeyOf(c))
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return keys, nil
}

// vendorSection is where shim has the certificate of who built it, behind four numbers: how many bytes it has, how many the list of what is
// revoked has, and where, from the section's beginning, each is (cert_table in shim's cert.S).
const (
	vendorSection = ".vendor_cert"
	vendorHeader  = 16
	maxVendor     = 64 << 10
)

// VendorKey is the key that a shim trusts, and that kernels started by way of it trust as well: shim hands it on in MokListRT.
func VendorKey(shim io.ReaderAt) (k secureboot.Key, err error) {
	f, err := pe.NewFile(shim)
	if err != nil {
		return k, err
	}
	defer f.Close()
	s := f.Section(vendorSection)
	if s == nil {
		return k, errors.New("it is no shim: it has no vendor's certificate in it")
	}
	head := make([]byte, vendorHeader)
	if _, err := s.ReadAt(head, 0); err != nil {
		return k, err
	}
	length, at := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[8:])
	if length == 0 || length > maxVendor {
		return k, errors.New("it has no vendor's certificate in it")
	}
	der := make([]byte, length)
	if _, err := s.ReadAt(der, int64(at)); err != nil {
		return k, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return k, fmt.Errorf("its vendor's certificate: %w", err)
	}
	return KeyOf(c), nil
}
