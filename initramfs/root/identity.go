package root

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/inroot"
)

// machineIDFile has the machine's identity, which D-Bus, systemd-networkd's DHCP client and others tell machines apart by
// (machine-id(5)). In an image it is that of the machine the image was made on, or empty, when systemd makes another at each boot.
const machineIDFile = "etc/machine-id"

// identify writes the identity of this machine into the system, so that it is another on every node and the same at each boot. A system
// that has no such file, or one that says that this is its first boot, or that gets one with the machine's files, and a system that can't be
// written to, stay as they are.
func identify(c Config) error {
	if c.Root.Writable == catalog.WritableNone || c.Identity == "" || c.Files.Has(machineIDFile) {
		return nil
	}
	in, err := inroot.Open(rootDir(c.Stage))
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat(machineIDFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > 64) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := fs.ReadFile(in, machineIDFile)
	if err != nil {
		return err
	}
	if id := strings.TrimSpace(string(there)); id != "" && !isMachineID(id) {
		return nil
	}
	if err := in.Overwrite(machineIDFile, []byte(machineID(c.Identity)+"\n")); err != nil {
		return fmt.Errorf("write its /%s: %w", machineIDFile, err)
	}
	return nil
}

// hostnameFile has the name that an init gives the machine (hostname(5)).
const hostnameFile = "etc/hostname"

// nameSystem writes the name that the site's rules give this machine into a system that has one of its own. One without takes the kernel's.
func nameSystem(c Config) error {
	if !c.Named || c.Hostname == "" || c.Root.Writable == catalog.WritableNone {
		return nil
	}
	in, err := inroot.Open(rootDir(c.Stage))
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat(hostnameFile)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if err := in.Overwrite(hostnameFile, []byte(c.Hostname+"\n")); err != nil {
		return fmt.Errorf("write its /%s: %w", hostnameFile, err)
	}
	return nil
}

func isMachineID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16
}

// machineID makes an identity of what tells machines apart: a random UUID's form (RFC 9562, 5.4) in 32 hexadecimal digits.
func machineID(identity string) string {
	sum := sha256.Sum256([]byte("BootTorrent machine-id\n" + identity))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return hex.EncodeToString(id)
}
