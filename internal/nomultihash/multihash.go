// Package multihash stands in for github.com/multiformats/go-multihash, which github.com/anacrolix/torrent uses for the SHA-256 in
// magnet links of version 2. The real one registers a dozen hash functions, which the linker then keeps.
//
// The format is that of https://github.com/multiformats/multihash: code, length, digest; of codes only SHA-256's is known.
package multihash

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// SHA2_256 is the code of SHA-256, which has 32 bytes.
const (
	SHA2_256 = 0x12
	size     = 32
)

// Multihash is a hash with its code and length in front.
type Multihash []byte

// HexString is the multihash in hexadecimal.
func (m Multihash) HexString() string { return hex.EncodeToString(m) }

// DecodedMultihash is what is in one.
type DecodedMultihash struct {
	Code   uint64
	Name   string
	Length int
	Digest []byte
}

// Decode reads the multihash of a SHA-256.
func Decode(b []byte) (*DecodedMultihash, error) {
	if len(b) != 2+size || b[0] != SHA2_256 || b[1] != size {
		return nil, errors.New("no multihash of a SHA-256")
	}
	return &DecodedMultihash{SHA2_256, "sha2-256", size, b[2:]}, nil
}

// Encode puts code and length before a SHA-256.
func Encode(digest []byte, code uint64) ([]byte, error) {
	if code != SHA2_256 || len(digest) != size {
		return nil, fmt.Errorf("a digest of %d bytes and code %#x is no SHA-256", len(digest), code)
	}
	return append([]byte{SHA2_256, size}, digest...), nil
}
