package archive

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"os/exec"
	"strings"

	"github.com/ulikunitz/xz"
)

// Bounds of the dictionary's size in bytes. The kernel allocates a dictionary of the size that the stream names, so that
// it should be no larger than what is in the stream.
const (
	minDictionary = 1 << 16
	maxDictionary = 1 << 26
)

// Levels of compression, as the xz tool counts them. (Its 0 is faster than 1 and no use here.)
const (
	MinLevel     = 1
	MaxLevel     = 9
	DefaultLevel = 9
)

// XZ compresses for the kernel.
type XZ struct {
	// Level is MinLevel to MaxLevel. At MaxLevel xz is also told to spare no effort (its "extreme" presets).
	Level int
	// X86 converts the targets of calls and jumps from relative to absolute first (the BCJ filter), which makes linked
	// machine code some 5 % smaller. Object files such as kernel modules get larger by it: theirs are still zero.
	X86 bool
	// tool is the path of xz, version what it says of itself; empty to use the Go library, which knows no BCJ filter and makes
	// results a third larger.
	tool, version string
}

// NewXZ looks for the xz tool. Without it the streams are larger, but as good.
func NewXZ(ctx context.Context, level int) (XZ, error) {
	x := XZ{Level: level}
	tool, err := exec.LookPath("xz")
	if err != nil {
		return x, nil
	}
	out, err := exec.CommandContext(ctx, tool, "--version").Output()
	if err != nil {
		return XZ{}, fmt.Errorf("ask %s for its version: %w", tool, err)
	}
	x.tool = tool
	x.version, _, _ = strings.Cut(string(out), "\n")
	return x, nil
}

// WithX86 is x with the BCJ filter.
func (x XZ) WithX86() XZ {
	x.X86 = true
	return x
}

// HasTool is whether the xz tool is used.
func (x XZ) HasTool() bool { return x.tool != "" }

// String names everything that the result depends on beside the input: program, version and settings.
func (x XZ) String() string {
	program := x.version
	if !x.HasTool() {
		program = "github.com/ulikunitz/xz"
	}
	return fmt.Sprintf("%s level %d x86 %t", program, x.Level, x.X86)
}

// Compress returns b as one xz stream. Its integrity check is CRC32, the only one beside none that the kernel knows.
func (x XZ) Compress(ctx context.Context, b []byte) ([]byte, error) {
	if !x.HasTool() {
		return compressInGo(b)
	}
	// One thread: blocks compressed side by side know nothing of each other, and the result is larger.
	args := []string{"--format=xz", "--check=crc32", "--threads=1", "--stdout"}
	if x.X86 {
		args = append(args, "--x86")
	}
	preset := fmt.Sprint(x.Level)
	if x.Level == MaxLevel {
		preset += "e"
	}
	args = append(args, fmt.Sprintf("--lzma2=preset=%s,dict=%d", preset, dictionary(len(b))))

	var out, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, x.tool, args...)
	cmd.Env = []string{"LC_ALL=C"} // XZ_DEFAULTS and XZ_OPT would change the result.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(b), &out, &messages
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("compress %d bytes with %s: %w: %s", len(b), x.tool, err,
			strings.TrimSpace(messages.String()))
	}
	return out.Bytes(), nil
}

func compressInGo(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: dictionary(len(b))}.NewWriter(&out)
	if err != nil {
		return nil, fmt.Errorf("compress %d bytes: %w", len(b), err)
	}
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("compress %d bytes: %w", len(b), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress %d bytes: %w", len(b), err)
	}
	return out.Bytes(), nil
}

// dictionary is the smallest power of two that holds size bytes, within the bounds.
func dictionary(size int) int {
	if size <= minDictionary {
		return minDictionary
	}
	return min(1<<bits.Len(uint(size-1)), maxDictionary)
}
