package archive

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Compressor makes streams that the kernel unpacks.
type Compressor interface {
	// Compress returns b as one stream.
	Compress(ctx context.Context, b []byte) ([]byte, error)
	// ForCode is the compressor with settings for linked machine code.
	ForCode() Compressor
	// Lacks is a package that would make the streams smaller and is not installed; empty if there is none.
	Lacks() string
	// String names everything that the result depends on beside the input: program, version and settings.
	String() string
}

// The methods of compression.
const (
	MethodXZ   = "xz"
	MethodZstd = "zstd"
)

// Levels of compression, as the xz tool counts them. (Its 0 is faster than 1 and no use here.)
const (
	MinLevel     = 1
	MaxLevel     = 9
	DefaultLevel = 9
)

// New returns the compressor of a method, which must be one of those above.
func New(ctx context.Context, method string, level int) (Compressor, error) {
	if method == MethodZstd {
		return newZstd(ctx, level)
	}
	return newXZ(ctx, level)
}

// find looks for a tool and asks for its version, which is the first line of what it says. Without the tool, both are empty.
func find(ctx context.Context, name string) (tool, version string, err error) {
	if tool, err = exec.LookPath(name); err != nil {
		return "", "", nil
	}
	out, err := exec.CommandContext(ctx, tool, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask %s for its version: %w", tool, err)
	}
	version, _, _ = strings.Cut(string(out), "\n")
	return tool, strings.TrimSpace(version), nil
}

// filter sends b through a tool.
func filter(ctx context.Context, b []byte, tool string, args ...string) ([]byte, error) {
	var out, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = []string{"LC_ALL=C"} // XZ_DEFAULTS, XZ_OPT and ZSTD_CLEVEL would change the result.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(b), &out, &messages
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("compress %d bytes with %s: %w: %s", len(b), tool, err, strings.TrimSpace(messages.String()))
	}
	return out.Bytes(), nil
}
