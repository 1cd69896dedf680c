package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
)

// runtimeModules makes the archive of the kernel modules that nodes get with QEMU, and returns their names. Those that the
// initramfs has are in it too: they are loaded there only if a device asks for them.
func (b *build) runtimeModules() (archive []byte, names []string, err error) {
	modules, err := drivers.Ordered(b.kernel.Modules, qemuruntime.KernelModules)
	if err != nil {
		return nil, nil, fmt.Errorf("the kernel modules for QEMU: %w", err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, content []byte) error {
		h := &tar.Header{
			Name: path.Join(b.kernel.Version, name), Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	var order strings.Builder
	for _, m := range modules {
		names = append(names, m.Name)
		fmt.Fprintln(&order, path.Base(m.Path))
		if err := add(path.Base(m.Path), m.Content); err != nil {
			return nil, nil, err
		}
	}
	if err := add(qemuruntime.Order, []byte(order.String())); err != nil {
		return nil, nil, err
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), names, nil
}
