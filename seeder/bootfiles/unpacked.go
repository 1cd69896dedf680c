package bootfiles

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/image"
)

// unpackedKernel is the name, in the folder of a kernel's content, under which GRUB gets a kernel of arm64 that is compressed. Debian 12's
// signed GRUB says "failed in building a Huffman code table" of one that it loads by TFTP; and under Secure Boot it looks for the signature
// in the file as it came, where a compressed one has none.
const unpackedKernel = image.Kernel + ".unpacked"

// maxUnpacked bounds the memory for an unpacked kernel: four times Debian's.
const maxUnpacked = 128 << 20

// unpackedCache holds the kernel that was asked for last. The zero value is ready.
type unpackedCache struct {
	mu      sync.Mutex
	sum     string
	content []byte
}

// KernelForGRUB is the path of an architecture's kernel as GRUB is to load it, by its content.
func (f *Files) KernelForGRUB(a arch.Arch) string {
	file, err := f.open(a, image.Kernel)
	if err != nil {
		return f.Path(a, image.Kernel)
	}
	defer file.Close()
	at := f.Path(a, image.Kernel)
	if h, err := header(file); err != nil || h.Payload == nil || h.Payload.Offset != 0 {
		return at // the firmware starts it as it is, or GRUB says what is wrong with it
	}
	return path.Join(path.Dir(at), unpackedKernel)
}

func header(file *File) (bzimage.Header, error) {
	head := make([]byte, bzimage.HeaderSize)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return bzimage.Header{}, err
	}
	return bzimage.Parse(head[:n])
}

// Unpacked returns what [Files.KernelForGRUB] names, without /boot/ in front. The errors are those of [Files.Open].
func (f *Files) Unpacked(name string) ([]byte, error) {
	folder, ok := strings.CutSuffix(name, "/"+unpackedKernel)
	if !ok {
		return nil, fmt.Errorf("%s is no boot file: %w", name, fs.ErrNotExist)
	}
	file, err := f.Open(folder + "/" + image.Kernel)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c := &f.unpacked
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum == file.SHA256 {
		return c.content, nil
	}
	h, err := header(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.File.Name(), err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	r, err := h.Unpack(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.File.Name(), err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err == nil && len(content) > maxUnpacked {
		err = fmt.Errorf("it has more than %d bytes unpacked", maxUnpacked)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.File.Name(), err)
	}
	c.sum, c.content = file.SHA256, content
	return content, nil
}
