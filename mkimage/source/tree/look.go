package tree

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/program"
)

// Found is what a root file system has.
type Found struct {
	// Init is the absolute path of the program that becomes process 1, Arch the architecture that it is for.
	Init string
	Arch arch.Arch
	// Title is what the distribution calls itself (PRETTY_NAME of os-release); empty if it doesn't say.
	Title string
	// Kernels are those that have modules in the root, newest first.
	Kernels []Kernel
	// ModulesOnly are modules of kernels that are not in the root, newest first. They have no File.
	ModulesOnly []Kernel
	// Mounts are what /etc/fstab mounts from other devices than the root's, which nodes don't have: "UUID=… at /boot".
	Mounts []string
	// Notes are sentences on what looks as if it were meant otherwise: kernels without modules, modules without a kernel.
	Notes []string
}

// Kernel is a kernel with its modules.
type Kernel struct {
	// Release is what uname -r says under it.
	Release string
	// File and Modules are absolute paths in the root: of the kernel's image and of the folder lib/modules/RELEASE.
	File, Modules string
}

// Inits are the programs that are tried as process 1, the usual one first.
var Inits = []string{"/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/usr/sbin/init", "/init", "/bin/init"}

// NoInitError says that a root file system has no program that could become process 1.
type NoInitError struct {
	// Wanted is the one that was asked for; empty: any of Inits.
	Wanted string
}

// Error says what to do.
func (e *NoInitError) Error() string {
	if e.Wanted != "" {
		return fmt.Sprintf("it has no program %s that could become its init; name one that it has", e.Wanted)
	}
	return fmt.Sprintf("it has no init, none of %s: it is no system that starts, as most container images are not; "+
		"install one in it (systemd-sysv in Debian and Ubuntu, systemd in Fedora, openrc in Alpine, busybox elsewhere), or name a program of it with --init", strings.Join(Inits, ", "))
}

// Look finds what a root file system has. init is the program that is to become process 1; empty: one of Inits. arches are the
// architectures of the machines that it may be for, the preferred one first. A root without an init is a *NoInitError, one whose init none of
// them can run a *program.Error.
func (r *Root) Look(ctx context.Context, init string, arches ...arch.Arch) (Found, error) {
	var f Found
	var err error
	if f.Init, err = r.init(init); err != nil {
		return Found{}, err
	}
	if f.Arch, err = r.archOf(ctx, f.Init, arches); err != nil {
		return Found{}, fmt.Errorf("its %s %w", f.Init, err)
	}
	if f.Title, err = r.title(ctx); err != nil {
		return Found{}, err
	}
	if fstab, err := r.ReadFile(ctx, "/etc/fstab", 1<<20); err == nil {
		f.Mounts = deviceMounts(fstab)
	}
	f.Kernels, f.Notes, err = r.kernels(ctx, f.Arch)
	for release, dir := range r.moduleFolders() {
		if !slices.ContainsFunc(f.Kernels, func(k Kernel) bool { return k.Release == release }) {
			f.ModulesOnly = append(f.ModulesOnly, Kernel{Release: release, Modules: dir})
		}
	}
	slices.SortFunc(f.ModulesOnly, func(a, b Kernel) int { return CompareReleases(b.Release, a.Release) })
	return f, err
}

// archOf is the first of some architectures whose machines can run a program of the root. The error is what speaks against the
// first one.
func (r *Root) archOf(ctx context.Context, name string, arches []arch.Arch) (arch.Arch, error) {
	var first error
	for _, a := range arches {
		err := program.CheckInit(rootFS{ctx, r}, name[1:], string(a))
		if err == nil {
			return a, nil
		}
		first = cmp.Or(first, err)
	}
	return "", first
}

// init finds process 1.
func (r *Root) init(wanted string) (string, error) {
	candidates := Inits
	if wanted != "" {
		candidates = []string{path.Clean("/" + wanted)}
	}
	for _, name := range candidates {
		if n := r.file(name); n != nil {
			return name, nil
		}
	}
	return "", &NoInitError{wanted}
}

// title is what os-release(5) says.
func (r *Root) title(ctx context.Context) (string, error) {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if r.file(name) == nil {
			continue
		}
		content, err := r.ReadFile(ctx, name, 1<<20)
		if err != nil {
			return "", err
		}
		return prettyName(content), nil
	}
	return "", nil
}

func prettyName(osRelease []byte) string {
	for line := range bytes.Lines(osRelease) {
		value, is := strings.CutPrefix(strings.TrimSpace(string(line)), "PRETTY_NAME=")
		if !is {
			continue
		}
		if quote := value[:min(len(value), 1)]; quote == `"` || quote == "'" {
			value = strings.TrimSuffix(value[1:], quote)
		}
		return strings.NewReplacer(`\"`, `"`, `\$`, "$", "\\`", "`", `\\`, `\`).Replace(value)
	}
	return ""
}

// kernels finds kernels by what their headers say, wherever distributions put them, and their modules.
func (r *Root) kernels(ctx context.Context, a arch.Arch) ([]Kernel, []string, error) {
	modules := r.moduleFolders()
	files := r.kernelFiles(modules)
	var nodes []*Node
	for _, name := range files {
		nodes = append(nodes, r.file(name))
	}
	paths, err := r.take(ctx, nodes...)
	if err != nil {
		return nil, nil, err
	}
	found := map[string]Kernel{}
	var notes []string
	for i, name := range files {
		release, err := releaseOf(paths[nodes[i]], a)
		switch {
		case err != nil:
			notes = append(notes, fmt.Sprintf("%s is no kernel that can be used: %v", name, err))
		case found[release].File != "":
		case modules[release] == "":
			notes = append(notes, fmt.Sprintf("%s is the kernel %s, and its modules are not in the root", name, release))
		default:
			found[release] = Kernel{release, name, modules[release]}
		}
	}
	for _, release := range slices.Sorted(maps.Keys(modules)) {
		if found[release].File == "" {
			notes = append(notes, fmt.Sprintf("%s are modules of a kernel that is not in the root", modules[release]))
		}
	}
	kernels := slices.Collect(maps.Values(found))
	slices.SortFunc(kernels, r.preferred)
	return kernels, notes, nil
}

// preferred orders kernels: the newest first and, of one version, the one with the most modules. A distribution's kernel for clouds has
// few drivers.
func (r *Root) preferred(a, b Kernel) int {
	version := func(k Kernel) string {
		if letters := strings.IndexFunc(k.Release, unicode.IsLetter); letters > 0 {
			return k.Release[:letters]
		}
		return k.Release
	}
	modules := func(k Kernel) (n int) {
		_ = r.find(k.Modules).each(".", func(string, *Node) error { n++; return nil }) // the function never fails
		return n
	}
	return cmp.Or(CompareReleases(version(b), version(a)), modules(b)-modules(a), CompareReleases(b.Release, a.Release))
}

// moduleFolders are the folders with modules by their kernel's release. One without an index has none: packages that were removed
// leave such.
func (r *Root) moduleFolders() map[string]string {
	folders := map[string]string{}
	for _, dir := range []string{"/lib/modules", "/usr/lib/modules"} {
		e := r.find(dir)
		if e == nil {
			continue
		}
		for name := range e.children {
			if r.file(path.Join(dir, name, "modules.dep")) != nil && folders[name] == "" {
				folders[name] = path.Join(dir, name)
			}
		}
	}
	return folders
}

// kernelFiles are the files that may be kernels: /boot/vmlinuz-RELEASE in most distributions, /usr/lib/modules/RELEASE/vmlinuz in Fedora,
// Arch and openSUSE, /boot/vmlinuz-lts in Alpine, /boot/kernel-RELEASE in Gentoo, /boot/Image of some for arm64.
func (r *Root) kernelFiles(modules map[string]string) []string {
	var files []string
	if boot := r.find("/boot"); boot != nil {
		for _, name := range slices.Sorted(maps.Keys(boot.children)) {
			for _, prefix := range []string{"vmlinuz", "bzImage", "Image", "kernel"} {
				if strings.HasPrefix(name, prefix) && !strings.Contains(name, "rescue") {
					files = append(files, path.Join("/boot", name))
				}
			}
		}
	}
	for _, release := range slices.Sorted(maps.Keys(modules)) {
		files = append(files, path.Join(modules[release], "vmlinuz"))
	}
	seen := map[*Node]bool{}
	return slices.DeleteFunc(files, func(name string) bool {
		n := r.file(name)
		again := n == nil || seen[n]
		seen[n] = true
		return again
	})
}

// releaseOf is the release of a kernel for machines of an architecture.
func releaseOf(file string, a arch.Arch) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, bzimage.HeaderSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	h, err := bzimage.Parse(head[:n])
	if err != nil {
		return "", err
	}
	if h.Arch != string(a) {
		return "", fmt.Errorf("it is for %s, and the system's programs are for %s", h.Arch, a)
	}
	if err := h.Kexec(); err != nil {
		return "", err
	}
	release := h.Release(f)
	if release == "" {
		return "", errors.New("it does not say its release")
	}
	return release, nil
}

// Extract copies a kernel to the file dir/vmlinuz, and its modules to dir/lib/modules/RELEASE, and returns both paths. Symbolic links to
// files are copied as what they lead to within the root; others are left out, so that nothing leads to files of this machine. Without
// k.File only the modules are copied.
func (r *Root) Extract(ctx context.Context, k Kernel, dir string) (kernel, modules string, err error) {
	folder := r.find(k.Modules)
	if folder == nil {
		return "", "", fmt.Errorf("%s is not in the root", k.Modules)
	}
	kernel, modules = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "lib", "modules", k.Release)
	to := map[string]*Node{}
	if k.File != "" {
		to[kernel] = r.file(k.File)
	}
	err = folder.each(".", func(name string, n *Node) error {
		if n.Mode.Type() == fs.ModeSymlink {
			n = r.file(path.Join(k.Modules, name))
		}
		if n != nil && n.Mode.IsRegular() && name != "vmlinuz" {
			to[filepath.Join(modules, filepath.FromSlash(name))] = n
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	names := slices.Sorted(maps.Keys(to))
	var nodes []*Node
	for _, name := range names {
		if to[name] == nil {
			return "", "", fmt.Errorf("%s is not in the root", k.File)
		}
		nodes = append(nodes, to[name])
	}
	paths, err := r.take(ctx, nodes...)
	if err != nil {
		return "", "", err
	}
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return "", "", err
		}
		// A link, as two names may be one file.
		if err := os.Link(paths[to[name]], name); err != nil {
			return "", "", err
		}
	}
	return kernel, modules, nil
}

// CompareReleases orders releases of kernels as package managers order versions: runs of digits by their value, everything else by
// its letters, and ~ before the end.
func CompareReleases(a, b string) int {
	for a != "" || b != "" {
		textA, textB := upTo(&a, false), upTo(&b, false)
		if c := compareText(textA, textB); c != 0 {
			return c
		}
		digitsA, digitsB := strings.TrimLeft(upTo(&a, true), "0"), strings.TrimLeft(upTo(&b, true), "0")
		if c := len(digitsA) - len(digitsB); c != 0 {
			return c
		}
		if c := strings.Compare(digitsA, digitsB); c != 0 {
			return c
		}
	}
	return 0
}

// upTo takes the run of digits, or of others, that s begins with.
func upTo(s *string, digits bool) string {
	end := strings.IndexFunc(*s, func(r rune) bool { return (r >= '0' && r <= '9') != digits })
	if end < 0 {
		end = len(*s)
	}
	run := (*s)[:end]
	*s = (*s)[end:]
	return run
}

// compareText orders as dpkg does: ~, the end, letters, everything else.
func compareText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := weight(a, i) - weight(b, i); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'a' && s[i] <= 'z', s[i] >= 'A' && s[i] <= 'Z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
