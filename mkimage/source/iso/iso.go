// Package iso has the kinds of sources that are CD images: with a live system ([Live]), with an installer ([Installer]); and [Machine],
// for these and disk images that nothing else can be made of than a virtual machine.
package iso

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/iso9660"
)

// image is an open ISO image.
type image struct {
	*iso9660.FS
	file *os.File
}

// padding is how much of an image's end may be missing: the 150 sectors that tools put there for the sake of old drives.
const padding = 150 * 2048

// open opens the ISO image that a source is; nil if it is none.
func open(s *source.Source) (*image, error) {
	if !s.IsFile() || !iso9660.Is(s.Head) {
		return nil, nil
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, err
	}
	fsys, err := iso9660.New(f, s.Size)
	if err == nil && s.Size < fsys.Size-padding {
		err = fmt.Errorf("it is cut off: it has %s of %s; download or copy it again", text.Size(s.Size), text.Size(fsys.Size))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("this ISO image can't be read: %w", err)
	}
	return &image{fsys, f}, nil
}

func (i *image) close() { i.file.Close() }

// date is when an image was built, behind its name.
var date = regexp.MustCompile(`\s+\d{4}-\d\d-\d\dT\S+$`)

// title is what the image calls itself, or the volume's name.
func (i *image) title() string {
	return cmp.Or(i.ownTitle(), strings.ReplaceAll(i.Label, "_", " "))
}

// ownTitle is what the image calls itself; empty: it doesn't.
func (i *image) ownTitle() string {
	for _, name := range []string{".disk/info", ".disk/casper-uuid-info"} {
		if b, err := i.small(name); err == nil {
			line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
			line, _, _ = strings.Cut(line, " - ") // what follows is how it was built
			line = date.ReplaceAllString(line, "")
			if line != "" {
				return strings.NewReplacer(`"`, "", "_", " ").Replace(line)
			}
		}
	}
	if b, err := i.small(".treeinfo"); err == nil {
		if name := treeinfoName(b); name != "" {
			return name
		}
	}
	return ""
}

// treeinfoName is the name in the section [general] of .treeinfo, which Fedora and its kin have.
func treeinfoName(b []byte) string {
	section := ""
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		if strings.HasPrefix(s, "[") {
			section = s
		}
		if key, value, ok := strings.Cut(s, "="); ok && section == "[general]" && strings.TrimSpace(key) == "name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// small reads a file that has no reason to be large.
func (i *image) small(name string) ([]byte, error) {
	const limit = 1 << 20
	f, err := i.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// head is the beginning of a file.
func (i *image) head(name string, n int64) ([]byte, error) {
	f, err := i.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

func (i *image) isFile(name string) bool {
	info, err := i.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func (i *image) isFolder(name string) bool {
	info, err := i.Stat(name)
	return err == nil && info.IsDir()
}

// opened is a file of an image with its size.
func (i *image) opened(name string) (io.Reader, int64, error) {
	f, err := i.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return f, info.Size(), err
}
