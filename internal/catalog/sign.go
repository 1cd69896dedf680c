package catalog

import (
	"errors"
	"fmt"
	"time"

	"aead.dev/minisign"
)

// ErrSignature is wrapped by [Open] when the signature is not by the expected key.
var ErrSignature = errors.New("signature does not verify")

// Sign returns the minisign signature file of an encoded catalog.
func Sign(key minisign.PrivateKey, document []byte) []byte {
	return sign(key, document, "catalog.json", "a BootTorrent catalog")
}

// SignManifest returns the minisign signature file of an encoded boot manifest.
func SignManifest(key minisign.PrivateKey, document []byte) []byte {
	return sign(key, document, "manifest.json", "a BootTorrent boot manifest")
}

func sign(key minisign.PrivateKey, document []byte, file, what string) []byte {
	trusted := fmt.Sprintf("timestamp:%d\tfile:%s", time.Now().Unix(), file)
	return minisign.SignWithComments(key, document, trusted, "signature of "+what)
}

// Open verifies signature over document with the public key and decodes the document. The error wraps ErrSignature
// when the key did not make that signature, whatever the document says.
func Open(key minisign.PublicKey, document, signature []byte) (*Catalog, error) {
	if len(document) > MaxDocument {
		return nil, tooLarge(len(document))
	}
	if err := verify(key, document, signature); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return decode(document)
}

// verify reports a signature that the key did not make over the document.
func verify(key minisign.PublicKey, document, signature []byte) error {
	var sig minisign.Signature
	if len(signature) > MaxSignature {
		return fmt.Errorf("%w: not a minisign signature (it has %d bytes)", ErrSignature, len(signature))
	}
	if err := sig.UnmarshalText(signature); err != nil {
		return fmt.Errorf("%w: not a minisign signature (%w)", ErrSignature, err)
	}
	if sig.KeyID != key.ID() {
		return fmt.Errorf("%w: signed by key %016X, and only key %016X is trusted here; if both are right, that is the seeder of another site: "+
			"ask this site's, or build the image with mkimage from that seeder's site", ErrSignature, sig.KeyID, key.ID())
	}
	if !minisign.Verify(key, document, signature) {
		return fmt.Errorf("%w: the document was changed after it was signed with key %016X", ErrSignature, key.ID())
	}
	return nil
}
