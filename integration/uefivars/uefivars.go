// Package uefivars reads and changes what OVMF keeps in its file of variables (OVMF_VARS_4M.fd and the like), so that a machine of a test
// starts with keys that nobody has to enrol by hand.
//
// In goes such a file, which is a firmware volume (EFI_FIRMWARE_VOLUME_HEADER, Platform Initialization 1.7, volume 3) with a store of
// authenticated variables in it (EDK II, MdeModulePkg/Include/Guid/VariableFormat.h); out comes another. Whoever writes the file is not
// asked for a signature: that is the firmware's matter.
package uefivars

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/boottorrent/boottorrent/mkimage/keys"
)

// MOK is the vendor of shim's variables (SHIM_LOCK_GUID), 605DAB50-E046-4300-ABB6-3DD810DD8B23.
var MOK = keys.GUID{0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43, 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23}

// owner is who has enrolled what AddToDB and AddToMOK add.
var owner = keys.GUID{0x62, 0x74, 0x00, 0x42, 0, 0, 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, 1}

// AddToDB adds certificates (DER) to db: the firmware then starts what they have signed.
func AddToDB(file []byte, certificates ...[]byte) ([]byte, error) {
	return add(file, "db", keys.ImageSecurity, keys.Authenticated, certificates)
}

// AddToMOK adds certificates (DER) to MokList, as MokManager does: shim then starts what they have signed.
func AddToMOK(file []byte, certificates ...[]byte) ([]byte, error) {
	const bootServices = 3 // NV, BS
	return add(file, "MokList", MOK, bootServices, certificates)
}

func add(file []byte, name string, vendor keys.GUID, attributes uint32, certificates [][]byte) ([]byte, error) {
	content, _, err := Get(file, name, vendor)
	if err != nil {
		return nil, err
	}
	for _, der := range certificates {
		content = append(content, keys.SignatureList(owner, der)...)
	}
	return Set(file, name, vendor, attributes, content)
}

// Parts of the file.
const (
	headerLengthAt = 48 // of the firmware volume
	storeHeader    = 28
	storeSizeAt    = 16

	startID        = 0x55aa
	variableHeader = 60
	attributesAt   = 4
	nameSizeAt     = 36
	dataSizeAt     = 40
	vendorAt       = 44
	added          = 0x3f // VAR_ADDED
	deleted        = 0x3c // VAR_ADDED & VAR_IN_DELETED_TRANSITION & VAR_DELETED
)

// authenticated is gEfiAuthenticatedVariableGuid, AAF32C78-947B-439A-A180-2E144EC37792.
var authenticated = keys.GUID{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}

var order = binary.LittleEndian

// variable is where one is in the file.
type variable struct {
	at, size int
	data     []byte
}

// Get returns a variable's content, and its attributes; nil if there is no such variable.
func Get(file []byte, name string, vendor keys.GUID) (content []byte, attributes uint32, err error) {
	s, err := parse(file)
	if err != nil {
		return nil, 0, err
	}
	v := s.find(name, vendor)
	if v == nil {
		return nil, 0, nil
	}
	return bytes.Clone(v.data), order.Uint32(file[v.at+attributesAt:]), nil
}

// Set returns the file with another content of a variable. Its date, where it has one, stays.
func Set(file []byte, name string, vendor keys.GUID, attributes uint32, content []byte) ([]byte, error) {
	file = bytes.Clone(file)
	s, err := parse(file)
	if err != nil {
		return nil, err
	}
	header := make([]byte, variableHeader)
	if old := s.find(name, vendor); old != nil {
		copy(header, file[old.at:])
		file[old.at+2] = deleted
	}
	text := encode(name)
	order.PutUint16(header, startID)
	header[2] = added
	order.PutUint32(header[attributesAt:], attributes)
	order.PutUint32(header[nameSizeAt:], uint32(len(text)))
	order.PutUint32(header[dataSizeAt:], uint32(len(content)))
	copy(header[vendorAt:], vendor[:])
	all := append(append(header, text...), content...)
	if s.free+len(all) > s.end {
		return nil, fmt.Errorf("the file of variables has no room for %d bytes more", len(all))
	}
	copy(file[s.free:], all)
	return file, nil
}

// store is the part of the file with variables in it.
type store struct {
	file      []byte
	variables []variable
	// free is where the next variable goes, end where the store ends.
	free, end int
}

func parse(file []byte) (*store, error) {
	if len(file) < headerLengthAt+2 || string(file[40:44]) != "_FVH" {
		return nil, errors.New("this is no file of UEFI variables: it is no firmware volume")
	}
	at := int(order.Uint16(file[headerLengthAt:]))
	if len(file) < at+storeHeader || keys.GUID(file[at:at+16]) != authenticated {
		return nil, errors.New("this is no file of UEFI variables: it has no store of authenticated ones")
	}
	s := &store{file: file, free: at + storeHeader, end: at + int(order.Uint32(file[at+storeSizeAt:]))}
	if s.end > len(file) {
		return nil, errors.New("the file of UEFI variables is cut off")
	}
	for s.free+variableHeader <= s.end && order.Uint16(file[s.free:]) == startID {
		nameSize, dataSize := int(order.Uint32(file[s.free+nameSizeAt:])), int(order.Uint32(file[s.free+dataSizeAt:]))
		size := variableHeader + nameSize + dataSize
		if nameSize > s.end || dataSize > s.end || s.free+size > s.end {
			return nil, fmt.Errorf("the file of UEFI variables is damaged at byte %d", s.free)
		}
		s.variables = append(s.variables, variable{s.free, size, file[s.free+variableHeader+nameSize : s.free+size]})
		s.free = (s.free + size + 3) &^ 3
	}
	return s, nil
}

// find returns the variable that counts, nil if there is none.
func (s *store) find(name string, vendor keys.GUID) *variable {
	text := encode(name)
	for i, v := range s.variables {
		h := s.file[v.at : v.at+variableHeader]
		if h[2] == added && keys.GUID(h[vendorAt:]) == vendor && bytes.Equal(s.file[v.at+variableHeader:v.at+v.size-len(v.data)], text) {
			return &s.variables[i]
		}
	}
	return nil
}

// encode is a name in UTF-16 with its zero.
func encode(name string) []byte {
	var b []byte
	for _, c := range append(utf16.Encode([]rune(name)), 0) {
		b = order.AppendUint16(b, c)
	}
	return b
}
