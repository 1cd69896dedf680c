package keys

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/boottorrent/boottorrent/internal/gpt"
)

// GUID is an identifier in the order of bytes that firmware has it in (UEFI 2.10, appendix A).
type GUID = gpt.GUID

// Vendors of variables: of PK and KEK, and of db and dbx (UEFI 2.10, 3.3 and 32.6.1).
var (
	// Global is EFI_GLOBAL_VARIABLE, 8BE4DF61-93CA-11D2-AA0D-00E098032B8C.
	Global = GUID{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
	// ImageSecurity is EFI_IMAGE_SECURITY_DATABASE_GUID, D719B2CB-3D3A-4596-A3BC-DAD00E67656F.
	ImageSecurity = GUID{0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f}
)

var (
	// certX509 is EFI_CERT_X509_GUID, A5C059A1-94E4-4AA7-87B5-AB155C2BF072 (UEFI 2.10, 32.4.1).
	certX509 = GUID{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72}
	// certPKCS7 is EFI_CERT_TYPE_PKCS7_GUID, 4AAFD29D-68DF-49EE-8AA9-347D375665A7 (UEFI 2.10, 8.2.2).
	certPKCS7 = GUID{0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7}
)

// Attributes of variables (UEFI 2.10, 8.2.1).
const (
	// Authenticated are those of PK, KEK and db: non-volatile, seen by boot and runtime services, with a signature that has a time.
	Authenticated = 0x27
	// Append, besides, adds to what a variable has.
	Append = 0x40
)

var order = binary.LittleEndian

// SignatureList is an EFI_SIGNATURE_LIST with one certificate in DER (UEFI 2.10, 32.4.1). owner says who enrolled it.
func SignatureList(owner GUID, der []byte) []byte {
	size := uint32(len(owner) + len(der))
	list := append([]byte(nil), certX509[:]...)
	list = order.AppendUint32(list, 28+size) // the header is the type and three lengths
	list = order.AppendUint32(list, 0)
	list = order.AppendUint32(list, size)
	return append(append(list, owner[:]...), der...)
}

// Update is a new content of a variable.
type Update struct {
	Name       string
	Vendor     GUID
	Attributes uint32
	Content    []byte
}

// Authenticate puts k's signature before the content: an EFI_VARIABLE_AUTHENTICATION_2 (UEFI 2.10, 8.2.2), as SetVariable and the files
// *.auth have it. Firmware takes no content that is dated before the one it has, unless it is added to that.
func (k *Key) Authenticate(u Update, when time.Time) ([]byte, error) {
	date := efiTime(when)
	var signed []byte
	for _, c := range utf16.Encode([]rune(u.Name)) {
		signed = order.AppendUint16(signed, c)
	}
	signed = append(signed, u.Vendor[:]...)
	signed = order.AppendUint32(signed, u.Attributes)
	signed = append(append(signed, date...), u.Content...)
	signature, err := k.detached(signed)
	if err != nil {
		return nil, fmt.Errorf("sign a content of the variable %s: %w", u.Name, err)
	}
	out := order.AppendUint32(date, uint32(24+len(signature))) // WIN_CERTIFICATE_UEFI_GUID
	out = order.AppendUint16(out, 0x0200)
	out = order.AppendUint16(out, 0x0ef1)
	out = append(append(out, certPKCS7[:]...), signature...)
	return append(out, u.Content...), nil
}

// efiTime is an EFI_TIME in UTC (UEFI 2.10, 8.3), without the fields that must be zero in signatures.
func efiTime(t time.Time) []byte {
	t = t.UTC()
	b := order.AppendUint16(nil, uint16(t.Year()))
	b = append(b, byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()))
	return append(b, make([]byte, 9)...)
}
