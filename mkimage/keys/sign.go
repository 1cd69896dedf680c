package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"debug/pe"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// Sign returns a PE file, such as a UEFI program or a Linux kernel, signed by k ("Windows Authenticode Portable Executable Signature
// Format", Microsoft, 2008; UEFI 2.10, 32.2.2). Signatures that it had are left out, as Linux reads one only (pefile_strip_sig_wrapper in
// crypto/asymmetric_keys/verify_pefile.c). The same file gives the same bytes, and what k has signed stays as it is.
func (k *Key) Sign(image []byte) ([]byte, error) {
	file, at, err := unsigned(image)
	if err != nil {
		return nil, err
	}
	indirect, err := indirectData(digest(file, at))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	signature, err := k.enclosing(oidIndirectData, indirect)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	table := order.AppendUint32(nil, uint32(8+len(signature))) // WIN_CERTIFICATE
	table = order.AppendUint16(table, 0x0200)
	table = order.AppendUint16(table, 0x0002) // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	table = eight(append(table, signature...))
	order.PutUint32(file[at.directory:], uint32(len(file)))
	order.PutUint32(file[at.directory+4:], uint32(len(table)))
	return append(file, table...), nil
}

// Signed reports whether k has signed a PE file, and nobody else.
func (k *Key) Signed(image []byte) bool {
	signed, err := k.Sign(image)
	return err == nil && bytes.Equal(signed, image)
}

// places are where the fields of a PE file are that no signature covers.
type places struct{ checksum, directory int }

const (
	peOffsetAt   = 0x3c // of the DOS header: where "PE\0\0" is
	coffSize     = 24   // signature and COFF header
	checksumAt   = 64   // from the optional header
	directory64  = 112  // likewise: the data directories of a PE32+ file
	directory32  = 96
	certificates = 4 // IMAGE_DIRECTORY_ENTRY_SECURITY
)

// ErrNotPE is returned for what can't be signed, as it is no PE file.
var ErrNotPE = errors.New("it is no PE file, and only such can be signed")

// unsigned is a copy of a PE file without signatures and checksum, padded to eight bytes, as its digest is of that.
func unsigned(image []byte) ([]byte, places, error) {
	f, err := pe.NewFile(bytes.NewReader(image))
	if err != nil || len(image) < peOffsetAt+4 || string(image[:2]) != "MZ" {
		return nil, places{}, ErrNotPE
	}
	optional := int(order.Uint32(image[peOffsetAt:])) + coffSize
	at := places{checksum: optional + checksumAt}
	var size uint32
	var directories []pe.DataDirectory
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader64:
		at.directory, size, directories = optional+directory64, h.SizeOfHeaders, h.DataDirectory[:min(h.NumberOfRvaAndSizes, 16)]
	case *pe.OptionalHeader32:
		at.directory, size, directories = optional+directory32, h.SizeOfHeaders, h.DataDirectory[:min(h.NumberOfRvaAndSizes, 16)]
	}
	if len(directories) <= certificates {
		return nil, places{}, errors.New("its header has no room for a signature")
	}
	at.directory += 8 * certificates
	end := len(image)
	if d := directories[certificates]; d.Size > 0 {
		if end = int(d.VirtualAddress); end+int(d.Size) != len(image) || end < at.directory+8 {
			return nil, places{}, errors.New("its signature is not at its end; is the file whole?")
		}
	}
	if err := gapless(f, int(size), end); err != nil {
		return nil, places{}, err
	}
	file := eight(bytes.Clone(image[:end]))
	clear(file[at.checksum : at.checksum+4]) // firmware doesn't look at it; 0 is none
	clear(file[at.directory : at.directory+8])
	return file, at, nil
}

// gapless reports what different programs take different digests of: what is between the sections is hashed by some.
func gapless(f *pe.File, headers, end int) error {
	sections := slices.Clone(f.Sections)
	slices.SortFunc(sections, func(a, b *pe.Section) int { return int(a.Offset) - int(b.Offset) })
	next := headers
	for _, s := range sections {
		if s.Size == 0 {
			continue
		}
		if int(s.Offset) != next {
			return fmt.Errorf("its section %s begins at byte %d, not behind the one before, so that not everybody takes the same digest of it", s.Name, s.Offset)
		}
		next += int(s.Size)
	}
	if next > end {
		return errors.New("it is cut off")
	}
	return nil
}

// digest is the Authenticode digest of an unsigned file: of all but the two fields that signing changes.
func digest(file []byte, at places) []byte {
	h := sha256.New()
	h.Write(file[:at.checksum])
	h.Write(file[at.checksum+4 : at.directory])
	h.Write(file[at.directory+8:])
	return h.Sum(nil)
}

var (
	oidIndirectData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}  // SPC_INDIRECT_DATA_OBJID
	oidPEImage      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15} // SPC_PE_IMAGE_DATAOBJ
)

// indirectData is an SpcIndirectDataContent: what is signed in place of the file.
func indirectData(digest []byte) ([]byte, error) {
	type (
		peImage struct {
			Flags asn1.BitString
			File  asn1.RawValue
		}
		attribute struct {
			Type  asn1.ObjectIdentifier
			Value peImage
		}
		digestInfo struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
	)
	// An SpcLink, which nobody reads: the choice of a file, with an empty SpcString in Unicode for its name.
	link := tagged(0, []byte{0xa2, 2, 0x80, 0})
	return asn1.Marshal(struct {
		Data   attribute
		Digest digestInfo
	}{attribute{oidPEImage, peImage{File: link}}, digestInfo{withSHA256, digest}})
}

// eight pads to a multiple of eight bytes.
func eight(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }
