package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/initrd"
)

// part is one initrd: where it lies, its size by the catalog, and how it begins and ends.
type part struct {
	path string
	size int64
	ends initrd.Ends
}

// look reads how the part begins and ends.
func (p *part) look() error {
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	p.ends, err = initrd.Read(f, p.size)
	return err
}

// parts finds the initrds of a system.
func (j Job) parts(initrds []string) ([]part, error) {
	var found []part
	for _, name := range initrds {
		path, err := j.path(name)
		if err != nil {
			return nil, err
		}
		p := part{path: path, size: -1}
		for _, f := range j.Files {
			if f.Path == name {
				p.size = f.Size
			}
		}
		if p.size < 0 {
			return nil, fmt.Errorf("start %s: its initrd %s is not among its files", j.System.Name, name)
		}
		found = append(found, p)
	}
	return found, nil
}

// ownInitrd writes the machine's files as one more initrd, beside the system's folder. The caller removes it.
func (j Job) ownInitrd() (p part, err error) {
	archive, err := j.MachineFiles.Encode()
	if err != nil {
		return p, err
	}
	f, err := os.CreateTemp(filepath.Dir(j.Dir), "files-*.cpio")
	if err != nil {
		return p, err
	}
	_, err = f.Write(archive)
	if err = errors.Join(err, f.Close()); err != nil {
		return p, errors.Join(fmt.Errorf("start %s: write this machine's files: %w", j.System.Name, err), os.Remove(f.Name()))
	}
	return part{path: f.Name(), size: int64(len(archive))}, nil
}

// join makes one file of the initrds, in order, and returns its path. The others are appended to the first, which is
// usually the largest and so needs no room twice; whoever seeds the first goes on reading the same bytes at the same
// place. It can be repeated; split makes the first one what it was.
func join(parts []part) (path string, err error) {
	first := parts[0]
	if len(parts) == 1 {
		return first.path, nil
	}
	// The file must be closed for writing again when the kernel reads it: kernel_read_file denies write access and says
	// ETXTBSY where someone has it.
	f, err := os.OpenFile(first.path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			split(parts)
		}
	}()
	for i := range parts {
		if err := parts[i].look(); err != nil {
			return "", err
		}
	}
	// An earlier attempt may have appended already.
	if err := f.Truncate(first.size); err != nil {
		return "", err
	}
	end := first.size
	for i, p := range parts[1:] {
		end += initrd.Padding(end, parts[i].ends, p.ends)
		if err := appendAt(f, end, p); err != nil {
			return "", err
		}
		end += p.size
	}
	return first.path, nil
}

// appendAt copies a part to an offset at or behind the file's end; what lies between becomes zero.
func appendAt(f *os.File, offset int64, p part) error {
	src, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer src.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if n, err := io.CopyN(f, src, p.size); err != nil {
		return fmt.Errorf("append %s to %s after %d of %d bytes: %w", p.path, f.Name(), n, p.size, err)
	}
	return nil
}

// split takes from the first part what join appended.
func split(parts []part) {
	if len(parts) > 1 {
		// Where this fails, nothing could be appended either, and the next join cuts the file first.
		_ = os.Truncate(parts[0].path, parts[0].size)
	}
}
