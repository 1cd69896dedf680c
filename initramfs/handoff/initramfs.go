package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// program is what of the running root file system goes on under another kernel: the files and folders that mkimage puts into the
// first part of an initramfs. Kernel modules are of this kernel, and what else there is was made since it started.
var program = []string{"bbin", "bin", "init", "etc/group", "etc/hosts", "etc/passwd"}

// folders are those that have to be there, with their modes; the program makes others itself.
var folders = map[string]uint64{
	"bbin": 0o755, "bin": 0o755, "dev": 0o755, "etc": 0o755, "etc/boottorrent": 0o755, name(""): 0o700, "lib": 0o755,
	"lib/modules": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "sys": 0o755, "tmp": 0o1777, "var": 0o755, "var/log": 0o755,
}

// overhead is the most that the archive has beside what is in the files: headers, names, links.
const overhead = 256 << 10

// Size is how many bytes Initramfs writes at most, for a node whose handoff has so many in its documents, torrents and boot part.
func Size(root string, handed int64) (int64, error) {
	files, err := running(root)
	if err != nil {
		return 0, err
	}
	size := handed + overhead
	for _, f := range files {
		size += f.info.Size()
	}
	return size, nil
}

// Initramfs writes the initramfs for another kernel as an uncompressed cpio archive (newc), whose length is a multiple of four, as the
// kernel wants it of archives that others follow: the program that runs in the root file system below root, the site's part,
// which says for which kernel this is, and what is handed on.
func Initramfs(w io.Writer, root string, site sitepart.Config, h *Handoff) error {
	if err := initramfs(w, root, site, h); err != nil {
		return fmt.Errorf("compose the initramfs for the system's kernel: %w", err)
	}
	return nil
}

func initramfs(w io.Writer, root string, site sitepart.Config, h *Handoff) error {
	records, err := made(site, h)
	if err != nil {
		return err
	}
	found, err := running(root)
	if err != nil {
		return err
	}
	part, err := h.part()
	if err != nil {
		return err
	}
	out := &counter{Writer: w}
	archive := cpio.Newc.Writer(out)
	for _, dir := range above(part) {
		records = append(records, cpio.MakeReproducible(cpio.Directory(dir, 0o700)))
	}
	if err := cpio.WriteRecords(archive, records); err != nil {
		return err
	}
	for _, f := range append(found, part...) {
		if err := f.write(archive); err != nil {
			return err
		}
	}
	if err := cpio.WriteTrailer(archive); err != nil {
		return err
	}
	_, err = out.Write(make([]byte, -out.n&3))
	return err
}

// made are the records of what is no file of the program: folders, before what is in them, and the site's part. The kernel opens
// dev/console before anything is mounted.
func made(site sitepart.Config, h *Handoff) ([]cpio.Record, error) {
	var records []cpio.Record
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		records = append(records, cpio.Directory(dir, folders[dir]))
	}
	part, err := json.Marshal(site)
	if err != nil {
		return nil, err
	}
	files, err := h.files()
	if err != nil {
		return nil, err
	}
	records = append(records, cpio.CharDev("dev/console", 0o600, 5, 1), cpio.CharDev("dev/null", 0o666, 1, 3),
		cpio.StaticFile(sitepart.Path[1:], string(part), 0o644))
	for _, file := range slices.Sorted(maps.Keys(files)) {
		records = append(records, cpio.StaticFile(name(file), string(files[file]), 0o600))
	}
	for i := range records {
		records[i] = cpio.MakeReproducible(records[i])
	}
	return records, nil
}

// file is one of the program.
type file struct {
	// name is its path in the archive, path where it is now.
	name, path string
	info       fs.FileInfo
}

// running are the regular files and links of the program, sorted by name.
func running(root string) ([]file, error) {
	var found []file
	for _, top := range program {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if kind := info.Mode().Type(); err == nil && (kind == 0 || kind == fs.ModeSymlink) {
				found = append(found, file{name: rel, path: p, info: info})
			}
			return err
		})
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && path.Dir(top) == "etc") {
			return nil, fmt.Errorf("read the running program: %w", err)
		}
	}
	return found, nil
}

// part are the files of the boot part.
func (h *Handoff) part() (files []file, err error) {
	if h.Part == nil {
		return nil, nil
	}
	for _, f := range h.Part.Files {
		below := filepath.Join(h.Part.System.Name, filepath.FromSlash(f.Path))
		from := filepath.Join(h.Part.Dir, below)
		info, err := os.Stat(from)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: name(filepath.Join(partDir, below)), path: from, info: info})
	}
	return files, nil
}

// above are the folders of files that no other record makes, each before what is in it.
func above(files []file) (dirs []string) {
	for _, f := range files {
		var up []string
		for dir := path.Dir(f.name); dir != name(""); dir = path.Dir(dir) {
			up = append(up, dir)
		}
		for _, dir := range slices.Backward(up) {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// write adds the file to an archive.
func (f file) write(archive cpio.RecordWriter) error {
	if f.info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(f.path)
		if err != nil {
			return err
		}
		return archive.WriteRecord(cpio.MakeReproducible(cpio.Symlink(f.name, target)))
	}
	content, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer content.Close()
	return archive.WriteRecord(cpio.MakeReproducible(cpio.Record{ReaderAt: content, Info: cpio.Info{
		Name: f.name, Mode: cpio.S_IFREG | uint64(f.info.Mode().Perm()), NLink: 1, FileSize: uint64(f.info.Size()),
	}}))
}

// counter counts what is written.
type counter struct {
	io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += n
	return n, err
}
