package selftest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/authenticode"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/secureboot"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// howToBeStarted is what an operator can do about a kernel that machines refuse.
const howToBeStarted = "use a kernel of Debian's, sign this one with the site's own key (docs/secureboot.md), or offer the system by a method that " +
	"needs no kernel of its own: bin, qemu, or root without kernel:"

// lockdown says which systems machines refuse to start while Secure Boot is on, by the signatures of their kernels. Where the site says that it
// uses Secure Boot these are warnings, else notes; where no machine starts phase 1 with Secure Boot on, nothing is said.
func (in Input) lockdown() []Finding {
	l := &list{about: "secure boot"}
	own, err := in.ownKeys()
	if err != nil {
		l.warning(fmt.Sprintf("%s can't be read (%v), so which kernels this site's machines start under Secure Boot is not known",
			filepath.Join(site.KeysDir, site.DBCertificate), err), "restore it from a backup, or make new keys: "+self.Mkimage()+" keys --new")
	}
	say := l.note
	if in.usesSecureBoot(own) {
		say = l.warning
	}
	refused, withoutShim := causes{}, causes{}
	for _, sys := range in.Site.Systems {
		byShim := in.byShim(arch.Arch(sys.Arch))
		if len(byShim) == 0 && len(own) == 0 {
			continue
		}
		refused.add(in, sys, slices.Concat(byShim, own))
		if len(byShim) > 0 && len(own) > 0 {
			withoutShim.add(in, sys, own)
		}
	}
	if len(refused) > 0 {
		say("with Secure Boot on, machines refuse to start "+refused.String(), howToBeStarted)
	}
	for cause, names := range withoutShim {
		if names = slices.DeleteFunc(names, refused.has); len(names) == 0 {
			delete(withoutShim, cause)
		} else {
			withoutShim[cause] = names
		}
	}
	if len(withoutShim) > 0 {
		l.note("with Secure Boot on, machines that start the signed boottorrent.efi without shim refuse to start "+withoutShim.String(),
			"sign these kernels with the site's own key (docs/secureboot.md), or have Debian's certificate in the db of these machines")
	}
	return l.found
}

// causes are the names of systems by why machines refuse them.
type causes map[string][]string

// add adds a system if machines that trust these keys refuse its kernel.
func (c causes) add(in Input, sys site.System, trusted []secureboot.Key) {
	signed, ok := sys.Launch.Kernel()
	if !ok {
		return
	}
	machine := secureboot.State{SecureBoot: true, Locked: true, KeysKnown: true, Trusted: trusted, NoKexecFile: arch.Arch(sys.Arch) == arch.ARM64}
	var refusal *secureboot.Refusal
	if errors.As(machine.Refuses(signed), &refusal) && !in.runsAlready(sys) {
		c[refusal.Cause] = append(c[refusal.Cause], sys.Name)
	}
}

// String is "arch, nixos (its kernel is not signed), ubuntu (…)".
func (c causes) String() string {
	var parts []string
	for _, cause := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(c[cause], ", "), cause))
	}
	return strings.Join(parts, ", ")
}

func (c causes) has(name string) bool {
	for _, names := range c {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// ownKeys are those of the site's own certificate for Secure Boot, if it has one.
func (in Input) ownKeys() ([]secureboot.Key, error) {
	text, err := os.ReadFile(filepath.Join(in.Site.Dir, site.KeysDir, site.DBCertificate))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return authenticode.KeysOfPEM(text)
}

// byShim are the keys that machines trust which start phase 1 by way of shim: that of shim's vendor. None: they don't, as there is no shim, or
// the site says that they start its own signed program.
func (in Input) byShim(a arch.Arch) []secureboot.Key {
	if in.Site.UEFI == site.UEFIUKI {
		return nil
	}
	all := in.Loaders
	if all == nil {
		all = loaders.New(in.Site.Dir)
	}
	path, ok := all.Find(loaders.Shim(a))
	if !ok {
		return nil
	}
	shim, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer shim.Close()
	key, err := authenticode.VendorKey(shim)
	if err != nil {
		return nil
	}
	return []secureboot.Key{key}
}

// runsAlready reports whether a system of the method root wants the kernel that phase 1 runs under, so that no kernel is to be started.
func (in Input) runsAlready(sys site.System) bool {
	if sys.Launch.Method != catalog.MethodRoot {
		return false
	}
	made, err := image.ReadMade(filepath.Join(in.Site.Dir, site.ImageDir, image.Folder(arch.Arch(sys.Arch))))
	if err != nil || made.SitePart == nil {
		return false
	}
	kernel, err := os.Open(sys.Path(sys.Launch.Root.Boot.Kernel))
	if err != nil {
		return false
	}
	defer kernel.Close()
	h := sha256.New()
	_, err = io.Copy(h, kernel)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == made.SitePart.KernelSHA256
}

// usesSecureBoot reports whether the site says that it does.
func (in Input) usesSecureBoot(own []secureboot.Key) bool {
	return len(own) > 0 || in.Site.UEFI == site.UEFIShim || in.Site.UEFI == site.UEFIUKI
}
