// Package secureboot says whether a kernel that is locked down starts another one by kexec: 'seeder check' asks before machines are switched
// on, and nodes ask before they download a system.
//
// In goes who signed a kernel's file ([File], read by package authenticode on the seeder's side and carried by the catalog) and what the
// running kernel goes by ([State]); out comes why it refuses the file ([State.Refuses]). A Linux kernel is locked down where Secure Boot is on
// (kernel_lockdown(7)), and kexec_file_load(2) then wants an Authenticode signature by a key of its own, or of the firmware's db or MokList
// (bzImage64_verify_sig in arch/x86/kernel/kexec-bzimage64.c).
package secureboot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// File is what is known of the signatures of a PE file, in the order in which they stand in it. The zero value is a file without any.
type File struct {
	By []Signature `json:"by,omitempty"`
}

// Signature is one of a file's signatures.
type Signature struct {
	// Signer and Issuer are the common names of the certificate that signed, and of who issued the last certificate of its chain. Issuer is
	// empty where that certificate is its own issuer.
	Signer string `json:"signer,omitempty"`
	Issuer string `json:"issuer,omitempty"`
	// Keys are the identifiers of the keys by any of which it can be trusted, in lower-case hexadecimal: the subject key identifiers of the
	// chain's certificates, then the last one's authority key identifier (RFC 5280, 4.2.1.1 and 4.2.1.2). None: the signature has no
	// certificate in it.
	Keys []string `json:"keys,omitempty"`
	// Broken is why no kernel takes the signature, whoever it is by: the file was changed after it was signed; empty: it is sound.
	Broken string `json:"broken,omitempty"`
}

// The most that a catalog says of one file's signatures. Files have one or two, with one to three certificates each; key identifiers have 20
// bytes (SHA-1), and names 64 characters (ub-common-name of RFC 5280).
const (
	MaxSignatures = 3
	MaxKeys       = 4
	MaxKey        = 64 // hexadecimal digits
	MaxName       = 128
)

// String names who signed, and whose certificate that is.
func (s Signature) String() string {
	switch {
	case s.Issuer == "" && s.Signer == "":
		return "an unnamed certificate"
	case s.Issuer == "":
		return s.Signer
	case s.Signer == "":
		return s.Issuer
	}
	return s.Signer + ", of " + s.Issuer
}

// Validate reports what a catalog can't say of a file.
func (f *File) Validate() error {
	if f == nil {
		return nil
	}
	if n := len(f.By); n > MaxSignatures {
		return fmt.Errorf("its kernel has %d signatures, and nodes read %d", n, MaxSignatures)
	}
	for _, s := range f.By {
		if err := s.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (s Signature) validate() error {
	for _, text := range []string{s.Signer, s.Issuer, s.Broken} {
		if len(text) > MaxName || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("a signature of its kernel says %q, which is no text of at most %d bytes", text, MaxName)
		}
	}
	if len(s.Keys) > MaxKeys {
		return fmt.Errorf("a signature of its kernel names %d keys, and nodes read %d", len(s.Keys), MaxKeys)
	}
	for _, k := range s.Keys {
		if _, err := hex.DecodeString(k); err != nil || k == "" || len(k) > MaxKey || k != strings.ToLower(k) {
			return fmt.Errorf("a signature of its kernel names the key %q, which is no identifier in lower-case hexadecimal", k)
		}
	}
	return nil
}

// Key is a key that a kernel trusts.
type Key struct {
	// Name is the common name of its certificate, and ID its subject key identifier in lower-case hexadecimal.
	Name, ID string
}

// State is what the running kernel goes by.
type State struct {
	// SecureBoot says that the firmware verifies what it starts.
	SecureBoot bool
	// Locked says that the kernel is locked down, in whatever way: kexec then takes only signed kernels.
	Locked bool
	// NoKexecFile says that the kernel has no kexec_file_load(2), as Debian 12's for arm64: if it is locked down, it starts no other.
	NoKexecFile bool
	// Trusted are the keys that it takes kernels by, if KeysKnown.
	Trusted   []Key
	KeysKnown bool
}

// String says the state to a person.
func (s State) String() string {
	switch {
	case s.SecureBoot && s.Locked:
		return "on, and the kernel is locked down"
	case s.SecureBoot:
		return "on, and the kernel is not locked down"
	case s.Locked:
		return "off, but the kernel is locked down"
	}
	return "off"
}

// Signers names those whose kernels are started.
func (s State) Signers() string {
	names := make([]string, len(s.Trusted))
	for i, k := range s.Trusted {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}

// because is why the kernel is locked down, before what follows from that.
func (s State) because() string {
	if s.SecureBoot {
		return "Secure Boot is on, and "
	}
	return "the kernel is locked down, and "
}

// Refusal is why a locked-down kernel does not start a file, and what a person can do about it.
type Refusal struct {
	// Cause is what is wrong with the file, and Why a whole sentence: the machine's part in it, and Cause.
	Cause, Why string
	Do         string
}

// Error implements error: Why and Do.
func (r *Refusal) Error() string { return r.Why + "; " + r.Do }

// ErrUnknown is returned by [State.Refuses] where it can't be said: the catalog does not tell who signed the file.
var ErrUnknown = errors.New("it is not known who signed the kernel")

// Refuses returns why the kernel refuses to start a file by kexec: a [*Refusal], ErrUnknown, or nil if it does not.
//
// Linux reads the first signature only (pefile_strip_sig_wrapper in crypto/asymmetric_keys/verify_pefile.c).
func (s State) Refuses(f *File) error {
	switch {
	case !s.Locked:
		return nil
	case s.NoKexecFile:
		return s.refusal("phase 1's kernel for the machine can't verify other kernels, so it starts none", "choose a system that runs under phase 1's own kernel, or switch Secure Boot off in the firmware")
	case f == nil, len(f.By) > 0 && len(f.By[0].Keys) == 0 && f.By[0].Broken == "":
		return ErrUnknown
	case len(f.By) == 0:
		return s.refusal("its kernel is not signed", HowToSign)
	case f.By[0].Broken != "":
		return s.refusal("its kernel's signature is of no use: "+f.By[0].Broken, "copy the kernel from where it came once more, or "+HowToSign)
	case s.trusts(f.By[0]):
		return nil
	case !s.KeysKnown:
		return ErrUnknown
	}
	return s.refusal(fmt.Sprintf("its kernel is not signed by a key that the machine trusts (signed by: %s)", f.By[0]), HowToSign)
}

func (s State) refusal(why, do string) *Refusal { return &Refusal{why, s.because() + why, do} }

// HowToSign is what helps with a kernel that nobody trusted has signed.
const HowToSign = "use the kernel that a distribution or this site has signed for this machine, start the system by another method, or switch Secure Boot off in the firmware"

func (s State) trusts(signature Signature) bool {
	return slices.ContainsFunc(s.Trusted, func(k Key) bool { return slices.Contains(signature.Keys, k.ID) })
}
