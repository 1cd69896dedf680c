// Package loaders finds the boot loaders that a seeder hands to firmware: in goes the name under which a loader is served, out
// comes the file that it is now.
//
// A loader is looked for in the site's folder loaders/, where the operator may put others than Debian's; in
// image/loaders/ and image/arm64/loaders/, where mkimage puts those of another architecture than this machine's and those that were
// signed with the site's own key; and where Debian's packages install them. It is looked for whenever it is asked for, so that a
// package that is installed later counts without a restart.
package loaders

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Folder is the operator's, in the site's directory.
const Folder = "loaders"

// Names of iPXE's programs (Debian's package ipxe).
const (
	// BIOS chain-loads over the PXE ROM's own driver (UNDI).
	BIOS = "undionly.kpxe"
	// SNP is for x64 UEFI. It uses the driver of the firmware (SNP), so it knows every card that the firmware could boot from.
	SNP = "snponly.efi"
	// HTTP is for UEFI HTTP boot of x64. It has drivers of its own.
	HTTP = "ipxe.efi"
	// ARM64 is iPXE for arm64, which Debian has from release 13 on.
	ARM64 = "ipxe-arm64.efi"
)

// Shim is the name of the first loader of the chain for Secure Boot: shimx64.efi, shimaa64.efi. Microsoft signed it.
func Shim(a arch.Arch) string { return "shim" + a.EFI() + ".efi" }

// GRUB is the name by which shim asks for the second one: grubx64.efi, grubaa64.efi. It is Debian's grubnetx64.efi, which Debian signed.
func GRUB(a arch.Arch) string { return "grub" + a.EFI() + ".efi" }

// MokManager is the name by which shim asks for its program that enrols keys: mmx64.efi, mmaa64.efi.
func MokManager(a arch.Arch) string { return "mm" + a.EFI() + ".efi" }

// IPXE is the name of the iPXE that GRUB goes on to for this architecture.
func IPXE(a arch.Arch) string {
	if a == arch.ARM64 {
		return ARM64
	}
	return SNP
}

// installed are the paths of Debian's packages by the names under which they are served; of several the first that is there counts.
var installed = packages()

func packages() map[string][]string {
	m := map[string][]string{}
	for _, name := range []string{BIOS, SNP, HTTP, ARM64} {
		for _, dir := range []string{"usr/lib/ipxe", "usr/share/ipxe", "usr/lib/ipxe/qemu", "boot"} {
			m[name] = append(m[name], dir+"/"+name)
		}
	}
	for _, a := range arch.All {
		m[Shim(a)] = []string{"usr/lib/shim/" + Shim(a) + ".signed"}
		m[MokManager(a)] = []string{"usr/lib/shim/" + MokManager(a) + ".signed"}
		m[GRUB(a)] = []string{"usr/lib/grub/" + grubFolder(a) + "/grubnet" + a.EFI() + ".efi.signed"}
	}
	return m
}

// grubFolder is where Debian's signed GRUB for an architecture is, below /usr/lib/grub.
func grubFolder(a arch.Arch) string {
	if a == arch.ARM64 {
		return "arm64-efi-signed"
	}
	return "x86_64-efi-signed"
}

// Packages are the Debian packages that bring the chain for Secure Boot on machines of this architecture. Only machines
// of that architecture can install them; for others mkimage fetches them.
func Packages(a arch.Arch) []string {
	return []string{"shim-signed", "grub-efi-" + a.Debian() + "-signed"}
}

// Loaders finds the boot loaders of one site. Its methods may be called concurrently.
type Loaders struct {
	// dir is the site's directory.
	dir string
	// root is "/", or another folder in tests.
	root string
}

// New returns the loaders of the site in dir.
func New(dir string) *Loaders { return At(dir, "/") }

// At is New with Debian's packages installed below root, for tests.
func At(dir, root string) *Loaders { return &Loaders{dir: dir, root: root} }

// folders are those of the site, the first one first.
func (l *Loaders) folders() []string {
	dirs := []string{filepath.Join(l.dir, Folder)}
	for _, a := range arch.All {
		dirs = append(dirs, filepath.Join(l.dir, site.ImageDir, image.Folder(a), image.LoadersFolder))
	}
	return dirs
}

// maxDepth is how many folders deep files of the site's folders are served: iPXE's releases have one for each kind.
const maxDepth = 3

// Files returns the path of every loader by the name it is served under: those of the packages, and every file of the site's
// folders. Names have slashes where the file is in a folder of such a folder: x86_64-sb/snponly-shim.efi.
func (l *Loaders) Files() map[string]string {
	found := map[string]string{}
	for name, paths := range installed {
		for _, p := range paths {
			if p = filepath.Join(l.root, p); regular(p) {
				found[name] = p
				break
			}
		}
	}
	for _, dir := range slices.Backward(l.folders()) {
		maps.Copy(found, filesIn(dir))
	}
	private := site.Private(l.dir)
	maps.DeleteFunc(found, func(_, file string) bool { return private(file) }) // links lead there
	return found
}

// filesIn returns the regular files of a folder, and of those in it, by their names relative to it. Names that begin with a
// dot are being copied.
func filesIn(dir string) map[string]string {
	found := map[string]string{}
	var read func(sub string, depth int)
	read = func(sub string, depth int) {
		entries, _ := os.ReadDir(filepath.Join(dir, sub)) // a folder that isn't there has none
		for _, e := range entries {
			name := path.Join(sub, e.Name())
			info, err := os.Stat(filepath.Join(dir, name)) // links as iPXE's releases have them count
			switch {
			case err != nil || strings.HasPrefix(e.Name(), "."):
			case info.Mode().IsRegular():
				found[name] = filepath.Join(dir, name)
			case info.IsDir() && depth < maxDepth:
				read(name, depth+1)
			}
		}
	}
	read("", 1)
	return found
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Find returns where the loader that is served as name is now.
func (l *Loaders) Find(name string) (file string, ok bool) {
	if !fs.ValidPath(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.Count(name, "/") >= maxDepth {
		return "", false
	}
	var at []string
	for _, dir := range l.folders() {
		at = append(at, filepath.Join(dir, filepath.FromSlash(name)))
	}
	for _, p := range installed[name] {
		at = append(at, filepath.Join(l.root, p))
	}
	i := slices.IndexFunc(at, regular)
	if i < 0 || site.Private(l.dir)(at[i]) { // a link leads there
		return "", false
	}
	return at[i], true
}

// Has reports whether there is a loader of each of these names.
func (l *Loaders) Has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { _, ok := l.Find(name); return !ok })
}

// HasShim reports whether the whole chain for Secure Boot is there: shim and the GRUB that it starts.
func (l *Loaders) HasShim(a arch.Arch) bool { return l.Has(Shim(a), GRUB(a)) }

// signedFolders are the folders of iPXE's releases (ipxeboot.tar.gz from 2.0 on) that hold programs signed for Secure Boot.
var signedFolders = map[arch.Arch]string{arch.AMD64: "x86_64-sb", arch.ARM64: "arm64-sb"}

// SignedIPXE returns the name of the shim of iPXE 2.0 for an architecture, if the operator has put that and the iPXE it starts into
// the site's loaders/, in the folder that it has in iPXE's archive. A shim that is called NAME-shim.efi starts NAME.efi beside it, and
// ipxe.efi where the firmware does not tell it its own name (github.com/ipxe/shim; ipxe/ipxe, issue 1684). snponly goes first, as it
// uses the firmware's driver.
func (l *Loaders) SignedIPXE(a arch.Arch) (shim string, ok bool) {
	for _, program := range []string{"snponly", "ipxe"} {
		shim = path.Join(signedFolders[a], program+"-shim.efi")
		if l.Has(shim, path.Join(signedFolders[a], program+".efi")) {
			return shim, true
		}
	}
	return "", false
}
