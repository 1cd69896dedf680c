package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
)

// SendKeys presses keys of the machine's own keyboard, one after the other. Keys have QEMU's names ("ret", "down",
// "a", "spc", "esc": QKeyCode in qapi/ui.json); those to be held together are joined, "ctrl-alt-delete".
func (n *Node) SendKeys(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		var together []map[string]string
		for code := range strings.SplitSeq(key, "-") {
			together = append(together, map[string]string{"type": "qcode", "data": code})
		}
		if err := n.qmp.execute(ctx, "send-key", map[string]any{"keys": together}); err != nil {
			return n.wrap(fmt.Errorf("press %q: %w", key, err))
		}
	}
	return nil
}

// Screenshot returns what the node's screen shows.
func (n *Node) Screenshot(ctx context.Context) (image.Image, error) {
	data, err := n.screendump(ctx)
	if err != nil {
		return nil, n.wrap(fmt.Errorf("screenshot: %w", err))
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, n.wrap(fmt.Errorf("screenshot: %w", err))
	}
	return img, nil
}

// SavePNG writes what the node's screen shows to a file.
func (n *Node) SavePNG(ctx context.Context, path string) error {
	data, err := n.screendump(ctx)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		return n.wrap(fmt.Errorf("screenshot to %s: %w", path, err))
	}
	return nil
}

// screendump returns the screen as PNG, which QEMU writes since version 7.1.
func (n *Node) screendump(ctx context.Context) ([]byte, error) {
	if n.Config.NoDisplay {
		return nil, errors.New("the node has no screen (NoDisplay)")
	}
	f, err := os.CreateTemp(n.scratch, "screen-*.png")
	if err != nil {
		return nil, err
	}
	f.Close()
	defer os.Remove(f.Name())
	err = n.qmp.execute(ctx, "screendump", map[string]any{"filename": filepath.Clean(f.Name()), "format": "png"})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(f.Name())
}
