package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/sitepart"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
)

// Manifest is manifest.json: what an image is made of. The same inputs give the same manifest, so it has no date in it.
type Manifest struct {
	Site string    `json:"site"`
	Arch arch.Arch `json:"arch"`
	// Files are those that a node loads, in that order.
	Files []File `json:"files"`
	// UKI is them in one UEFI program; nil if there is none.
	UKI *File `json:"uki,omitempty"`
	// SignedBy is the certificate whose key has signed the UEFI program; nil if nobody has.
	SignedBy *image.Signer `json:"signed_by,omitempty"`
	// HTTPDisk is a disk image for UEFI HTTP boot with Secure Boot on; nil if there is none.
	HTTPDisk *File `json:"http_disk,omitempty"`
	// Modules is the archive of kernel modules that nodes get with QEMU.
	Modules *File `json:"modules,omitempty"`
	// Disks is the archive of kernel modules with which nodes read their own disks.
	Disks *File `json:"disks,omitempty"`
	// Loaders are boot loaders, by their paths in the image's folder.
	Loaders  []File   `json:"loaders,omitempty"`
	Kernel   Kernel   `json:"kernel"`
	Drivers  Drivers  `json:"drivers"`
	Commands Commands `json:"commands"`
	// Parts are the initramfs's, in their order.
	Parts []*Part `json:"parts"`
	// Compressor is what compressed them.
	Compressor string `json:"compressor"`
	// SitePart is what of the site is built in, Cmdline what media and UEFI HTTP boot tell the kernel.
	SitePart sitepart.Config `json:"site_part"`
	Cmdline  string          `json:"cmdline"`
}

// File is one of the files of an image.
type File = image.File

// Kernel says which kernel it is.
type Kernel struct {
	Release string `json:"release"`
	// Package is the distribution's package and its version; empty for a kernel given by hand.
	Package string `json:"package,omitempty"`
}

// Drivers say which modules there are, by name, and which not.
type Drivers struct {
	Selection string   `json:"selection"`
	Modules   []string `json:"modules"`
	// Builtin are wanted and built into the kernel, Absent wanted and not in it at all.
	Builtin []string `json:"builtin,omitempty"`
	Absent  []string `json:"absent,omitempty"`
	// WithoutFirmware are left out because they do nothing without firmware, which is not installed here.
	WithoutFirmware []string                  `json:"without_firmware,omitempty"`
	Firmware        []string                  `json:"firmware,omitempty"`
	MissingFirmware []drivers.MissingFirmware `json:"missing_firmware,omitempty"`
	// Runtime are the modules of runtime-modules.tar, in the order in which they are loaded: nodes get them together with QEMU, if
	// they need that.
	Runtime []string `json:"runtime,omitempty"`
	// Disks are the modules of disks.tar.zst, which nodes get when they start something from their own disk.
	Disks []string `json:"disks,omitempty"`
}

// Commands say what the programs were compiled from.
type Commands struct {
	Names []string `json:"names"`
	Go    string   `json:"go"`
	// Release is what they call themselves; Revision the git commit of their source, with "+changes" if it was changed
	// since. Both may be empty.
	Release  string `json:"release,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Modules are the versions of the Go modules compiled in, by path.
	Modules map[string]string `json:"modules"`
}

// Size is how many bytes a node loads.
func (m *Manifest) Size() int64 {
	var size int64
	for _, f := range m.Files {
		size += f.Size
	}
	return size
}

// Part returns the part of a name, nil if there is none.
func (m *Manifest) Part(name string) *Part {
	for _, p := range m.Parts {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// write writes the image. Each file is moved into place when all are written, the manifest last.
func (b *build) write(ctx context.Context, parts []*Part) (*Manifest, error) {
	initramfs := join(parts)
	runtime, names, err := b.runtimeModules()
	if err != nil {
		return nil, err
	}
	m := b.manifest(ctx, parts)
	if m.SitePart, err = b.siteConfig(); err != nil {
		return nil, err
	}
	archive := file(qemuruntime.ImageModules, runtime)
	m.Drivers.Runtime, m.Modules = names, &archive
	disks, names, err := b.diskModules(ctx)
	if err != nil {
		return nil, err
	}
	diskArchive := file(diskmodules.Archive, disks)
	m.Drivers.Disks, m.Disks = names, &diskArchive
	vmlinuz, err := b.bootKernel(ctx)
	if err != nil {
		return nil, err
	}
	m.Files = []File{
		file(KernelFile, vmlinuz), file(InitramfsFile, initramfs),
	}
	uki, err := b.unified(ctx, initramfs)
	if err != nil {
		return nil, err
	}
	outputs := []output{{KernelFile, vmlinuz}, {InitramfsFile, initramfs}, {qemuruntime.ImageModules, runtime}, {diskmodules.Archive, disks}}
	loaders, err := b.loaders(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := b.signLoaders(ctx)
	if err != nil {
		return nil, err
	}
	loaders = replace(loaders, signed)
	for _, l := range loaders {
		m.Loaders = append(m.Loaders, file(l.name, l.content))
	}
	outputs = append(outputs, loaders...)
	if uki != nil {
		f := file(UKIFile, uki)
		if b.key != nil {
			m.SignedBy = b.key.Signer()
		}
		m.UKI, outputs = &f, append(outputs, output{UKIFile, uki})
	}
	disk, err := b.httpDisk(ctx, initramfs)
	if err != nil {
		return nil, err
	}
	if disk != nil {
		f := file(image.HTTPDisk, disk)
		m.HTTPDisk, outputs = &f, append(outputs, output{image.HTTPDisk, disk})
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	dir := b.folder()
	if err := writeTogether(dir, append(outputs, output{ManifestFile, append(text, '\n')})); err != nil {
		return nil, fmt.Errorf("write the image: %w", err)
	}
	return m, b.removeOld(m)
}

// removeOld removes what an earlier build has left and would be served: a UEFI program of another kernel, and boot loaders that were signed.
func (b *build) removeOld(m *Manifest) error {
	var old []string
	if m.UKI == nil {
		old = append(old, UKIFile)
	}
	if m.HTTPDisk == nil {
		old = append(old, image.HTTPDisk)
	}
	entries, err := os.ReadDir(filepath.Join(b.folder(), image.LoadersFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write the image: %w", err)
	}
	for _, e := range entries {
		name := path.Join(image.LoadersFolder, e.Name())
		if !slices.ContainsFunc(m.Loaders, func(f File) bool { return f.Name == name }) {
			old = append(old, name)
		}
	}
	for _, name := range old {
		if err := os.Remove(filepath.Join(b.folder(), name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("write the image: %w", err)
		}
	}
	return nil
}

// replace puts files in the place of those with the same names.
func replace(files, by []output) []output {
	files = slices.DeleteFunc(files, func(f output) bool {
		return slices.ContainsFunc(by, func(other output) bool { return other.name == f.name })
	})
	return append(files, by...)
}

// join makes an initramfs of its parts.
func join(parts []*Part) []byte {
	var initramfs bytes.Buffer
	for _, p := range parts {
		initramfs.Write(p.stream)
	}
	return initramfs.Bytes()
}

func file(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), SHA256: hash(string(content))}
}

func (b *build) manifest(ctx context.Context, parts []*Part) *Manifest {
	m := &Manifest{
		Site:   b.site.Name,
		Arch:   b.Arch,
		Kernel: Kernel{Release: b.kernel.Version, Package: b.kernel.Package},
		Drivers: Drivers{
			Selection: b.Drivers.String(), Builtin: slices.Sorted(maps.Keys(b.set.Builtin)), Absent: b.set.Absent,
			WithoutFirmware: b.set.WithoutFirmware, MissingFirmware: b.set.MissingFirmware,
		},
		Commands: b.commands(ctx),
		Parts:    parts, Compressor: b.compressor.String(), Cmdline: b.cmdline(),
	}
	for _, module := range b.set.Modules {
		m.Drivers.Modules = append(m.Drivers.Modules, module.Name)
	}
	slices.Sort(m.Drivers.Modules)
	for _, f := range b.set.Firmware {
		m.Drivers.Firmware = append(m.Drivers.Firmware, f.Path)
	}
	return m
}

// commands says what the nodes' program is compiled from.
func (b *build) commands(ctx context.Context) Commands {
	if !b.Build {
		return b.prebuilt.Commands
	}
	return Commands{Names: b.plan.Names, Go: b.plan.Go, Release: b.Release, Revision: revision(ctx, b.Source), Modules: b.plan.Versions}
}

// revision is the commit of a checkout; empty where git does not know.
func revision(ctx context.Context, source string) string {
	head, err := exec.CommandContext(ctx, "git", "-C", source, "rev-parse", "HEAD").Output()
	if err != nil {
		return ""
	}
	r := strings.TrimSpace(string(head))
	changes, err := exec.CommandContext(ctx, "git", "-C", source, "status", "--porcelain").Output()
	if err == nil && len(bytes.TrimSpace(changes)) > 0 {
		r += "+changes"
	}
	return r
}

// output is a file to be written. Its name is a path in the image's folder, with slashes.
type output struct {
	name    string
	content []byte
}

// writeTogether writes all files of a folder beside their places and only then moves them there.
func writeTogether(dir string, outputs []output) (err error) {
	var files []*renameio.PendingFile
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Cleanup()) // nothing for what was moved
		}
	}()
	for _, o := range outputs {
		file := filepath.Join(dir, filepath.FromSlash(o.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := atomicfile.Begin(file, 0o644)
		if err != nil {
			return err
		}
		files = append(files, f)
		if _, err := f.Write(o.content); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	for i, o := range outputs {
		if err := atomicfile.Finish(filepath.Join(dir, filepath.FromSlash(o.name)), files[i]); err != nil {
			return err
		}
	}
	return nil
}
