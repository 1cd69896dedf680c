package hardware

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/kexec"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

const (
	// securityFS is where securityfs belongs, and lockdownFile what says there how the kernel is locked down: "none [integrity]
	// confidentiality" (kernel_lockdown(7)).
	securityFS   = "sys/kernel/security"
	lockdownFile = securityFS + "/lockdown"
	// bootParams has the structure boot_params of x86; at secureBootAt is whether Secure Boot is on, as the kernel's EFI stub found it, and
	// secureBootOn if it is (Documentation/arch/x86/zero-page.rst, enum efi_secureboot_mode). kexec hands it on.
	bootParams   = "sys/kernel/boot_params/data"
	secureBootAt = 0x1ec
	secureBootOn = 3
)

// kexecRings are the keyrings whose keys kernels may be signed by (bzImage64_verify_sig in arch/x86/kernel/kexec-bzimage64.c): those of the kernel,
// to which the machine's are linked (MokListRT), and those of the firmware's db.
var kexecRings = []string{".builtin_trusted_keys", ".secondary_trusted_keys", ".platform"}

// ReadSecureBoot reads what the running kernel goes by when it is to start another one.
func ReadSecureBoot() secureboot.State {
	if _, err := os.Stat(running.path(lockdownFile)); err != nil {
		if unix.Mount("securityfs", running.path(securityFS), "securityfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") == nil {
			defer unix.Unmount(running.path(securityFS), 0)
		}
	}
	s := running.secureBoot(readRing)
	s.SecureBoot = s.SecureBoot || s.Locked && lockedByFirmware() // there are no boot parameters on arm64
	s.NoKexecFile = !kexec.FileLoads()
	return s
}

// lockedByFirmware reports whether the kernel says in its log that it is locked down because Secure Boot is on.
func lockedByFirmware() bool {
	r, err := kmsg.OpenReader()
	if err != nil {
		return false
	}
	defer r.Close()
	if err := r.SetDeadline(time.Now()); err != nil { // what is there is read nevertheless
		return false
	}
	for {
		lines, err := r.Lines()
		if err != nil {
			return false
		}
		if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "locked down from EFI Secure Boot") }) {
			return true
		}
	}
}

// secureBoot reads the state from files, and the keys that a keyring has with ring.
func (t tree) secureBoot(ring func(id int32) ([]int32, error)) (s secureboot.State) {
	lockdown := t.line(lockdownFile)
	s.Locked = strings.Contains(lockdown, "[") && !strings.Contains(lockdown, "[none]")
	params, err := os.ReadFile(t.path(bootParams))
	s.SecureBoot = err == nil && len(params) > secureBootAt && params[secureBootAt] == secureBootOn
	keys, err := os.ReadFile(t.path("proc/keys"))
	if err != nil {
		return s
	}
	k := keyrings{ring: ring, rings: map[int32]string{}, keys: map[int32]secureboot.Key{}}
	k.parse(string(keys))
	for id, name := range k.rings {
		if slices.Contains(kexecRings, name) {
			k.walk(id, 0)
		}
	}
	s.Trusted, s.KeysKnown = k.found, k.read
	slices.SortFunc(s.Trusted, func(a, b secureboot.Key) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return s
}

// keyrings are the kernel's keyrings and certificates by their serial numbers.
type keyrings struct {
	ring  func(id int32) ([]int32, error)
	rings map[int32]string
	keys  map[int32]secureboot.Key
	found []secureboot.Key
	// read says that a keyring could be read.
	read bool
}

// parse reads lines such as
//
//	33655130 I------     1 perm 1f0b0000     0     0 keyring   .platform: 2
//	2cad69d5 I------     1 perm 1f010000     0     0 asymmetri Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1: X509.rsa bb419ea1 []
//
// of /proc/keys (proc(5)). A certificate's description is its subject and its subject key identifier.
func (k keyrings) parse(text string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 9 {
			continue
		}
		serial, err := strconv.ParseUint(words[0], 16, 32)
		if err != nil {
			continue
		}
		id, description := int32(uint32(serial)), strings.Join(words[8:], " ")
		switch words[7] {
		case "keyring":
			name, _, _ := strings.Cut(description, ":")
			k.rings[id] = name
		case "asymmetri":
			certificate, _, isX509 := cutLast(description, ": X509.")
			if name, keyID, ok := cutLast(certificate, ": "); ok && isX509 {
				k.keys[id] = secureboot.Key{Name: name, ID: keyID}
			}
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// maxRings is how deep keyrings are looked for in keyrings: the kernel allows six levels (KEYRING_SEARCH_MAX_DEPTH).
const maxRings = 6

// walk takes in the certificates of a keyring, and of those in it.
func (k *keyrings) walk(ring int32, depth int) {
	members, err := k.ring(ring)
	if err != nil {
		return
	}
	k.read = true
	for _, id := range members {
		if key, ok := k.keys[id]; ok && !slices.Contains(k.found, key) {
			k.found = append(k.found, key)
		}
		if _, ok := k.rings[id]; ok && depth < maxRings {
			k.walk(id, depth+1)
		}
	}
}

// readRing asks the kernel for the serial numbers of the keys in a keyring (keyctl_read(3)).
func readRing(ring int32) (members []int32, err error) {
	buf := make([]byte, 64<<10)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, int(ring), buf, 0)
	if err != nil {
		return nil, err
	}
	for b := buf[:min(n, len(buf))]; len(b) >= 4; b = b[4:] {
		members = append(members, int32(binary.NativeEndian.Uint32(b)))
	}
	return members, nil
}
