// Package arch is what differs between the processor architectures that nodes can have: how Go, UEFI and Debian call them, and
// what their boot files are named.
package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Arch is an architecture of nodes, as Go calls it (GOARCH). Configuration and catalog have it as this text.
type Arch string

// The architectures.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// All are the architectures that nodes can have, the usual one first.
var All = []Arch{AMD64, ARM64}

// Parse reads the name of an architecture.
func Parse(text string) (Arch, error) {
	if a := Arch(text); slices.Contains(All, a) {
		return a, nil
	}
	return "", fmt.Errorf("there is no architecture %q: choose amd64 or arm64", text)
}

// EFI is the ending that the names of UEFI programs have for this architecture, in lower case: shimx64.efi, shimaa64.efi
// (UEFI 2.10, table 3.3).
func (a Arch) EFI() string {
	if a == ARM64 {
		return "aa64"
	}
	return "x64"
}

// RemovableFile is the path of the program that UEFI firmware starts from a removable medium (UEFI 2.10, 3.5.1.1):
// EFI/BOOT/BOOTX64.EFI, EFI/BOOT/BOOTAA64.EFI.
func (a Arch) RemovableFile() string {
	return "EFI/BOOT/BOOT" + strings.ToUpper(a.EFI()) + ".EFI"
}

// Debian is Debian's name of the architecture. For these two it is Go's.
func (a Arch) Debian() string { return string(a) }
