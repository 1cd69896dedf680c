package archive

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"

	"github.com/ulikunitz/xz"
)

// Bounds of the dictionary's size in bytes. The kernel allocates a dictionary of the size that the stream names, so that
// it should be no larger than what is in the stream.
const (
	minDictionary = 1 << 16
	maxDictionary = 1 << 26
)

// literalContext is the option of LZMA2 that makes both commands and modules smallest of some ten variants tried, by a quarter of a
// percent.
const literalContext = "lc=4"

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

// newXZ looks for the xz tool. Without it the streams are larger, but as good.
func newXZ(ctx context.Context, level int) (XZ, error) {
	x := XZ{Level: level}
	var err error
	x.tool, x.version, err = find(ctx, "xz")
	return x, err
}

// ForCode is x with the BCJ filter.
func (x XZ) ForCode() Compressor {
	x.X86 = true
	return x
}

// Lacks is what to install for smaller streams; empty if it is here.
func (x XZ) Lacks() string {
	if x.tool == "" {
		return "xz-utils"
	}
	return ""
}

// String names everything that the result depends on beside the input: program, version and settings.
func (x XZ) String() string {
	program := x.version
	if x.tool == "" {
		program = "github.com/ulikunitz/xz"
	}
	return fmt.Sprintf("%s level %d %s x86 %t", program, x.Level, literalContext, x.X86)
}

// Compress returns b as one xz stream. Its integrity check is CRC32, the only one beside none that the kernel knows.
func (x XZ) Compress(ctx context.Context, b []byte) ([]byte, error) {
	if x.tool == "" {
		return xzInGo(b)
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
	args = append(args, fmt.Sprintf("--lzma2=preset=%s,dict=%d,%s", preset, dictionary(len(b)), literalContext))

	return filter(ctx, b, x.tool, args...)
}

func xzInGo(b []byte) ([]byte, error) {
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
