package tree

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Bounds of what is decompressed. Root file systems shrink to a third; a layer that grows by more than maxRatio once it is large is
// a bomb, or a file of zeros that nobody needs on a node. xz and zstd streams say how much memory they want.
const (
	maxRatio   = 250
	ratioFrom  = 1 << 30
	decoderMem = 1 << 30
	// slack is for what is in a stream beside the bytes of files: headers and padding.
	slack = 8 << 30
)

// bzip2Magic is what a bzip2 stream begins with: "BZh", a digit, and the number pi. The digit doesn't count here, as a file's name may begin
// with the letters alone.
const bzip2Magic = "BZh\x001AY&SY"

// The beginnings of compressed streams; a zero byte of bzip2Magic stands for any.
var magics = []struct {
	magic string
	open  func(context.Context, io.Reader) (io.ReadCloser, error)
}{
	{"\x1f\x8b", func(_ context.Context, r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{"\x28\xb5\x2f\xfd", func(_ context.Context, r io.Reader) (io.ReadCloser, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderMaxWindow(decoderMem/2))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}},
	{"\xfd7zXZ\x00", xz},
	{bzip2Magic, func(_ context.Context, r io.Reader) (io.ReadCloser, error) {
		return io.NopCloser(bzip2.NewReader(r)), nil
	}},
}

// Compressed reports whether a file that begins with head is a stream that can be decompressed here.
func Compressed(head []byte) bool {
	for _, m := range magics {
		if begins(head, m.magic) {
			return true
		}
	}
	return false
}

func begins(head []byte, magic string) bool {
	if magic == bzip2Magic && len(head) > 3 {
		head = slices.Concat(head[:3], []byte{0}, head[4:])
	}
	return bytes.HasPrefix(head, []byte(magic))
}

// Decompressed reads a stream that may be compressed with gzip, zstd, xz or bzip2, and refuses one that grows beyond reason. The
// stream has to be closed; the reader below it does not belong to it.
func Decompressed(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	return decompress(ctx, r, DefaultBytes, func(int) {})
}

// decompress is Decompressed for a stream that has files of most bytes in it; read hears how many bytes were read of it.
func decompress(ctx context.Context, r io.Reader, most int64, read func(int)) (io.ReadCloser, error) {
	in := &counting{r: r, read: read}
	head := bufio.NewReaderSize(in, 1<<16)
	begin, err := head.Peek(len(bzip2Magic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, m := range magics {
		if !begins(begin, m.magic) {
			continue
		}
		out, err := m.open(ctx, head)
		if err != nil {
			return nil, fmt.Errorf("the compressed stream is damaged: %w", err)
		}
		return &bounded{ReadCloser: out, ctx: ctx, in: in, most: most + slack}, nil
	}
	return &bounded{ReadCloser: io.NopCloser(head), ctx: ctx, in: in, most: most + slack}, nil
}

// counting counts what is read.
type counting struct {
	r    io.Reader
	n    int64
	read func(int)
}

// Write implements io.Writer, for io.TeeReader.
func (c *counting) Write(p []byte) (int, error) {
	c.read(len(p))
	return len(p), nil
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.read(n)
	return n, err
}

// bounded is a decompressed stream that ends with an error when there is too much of it, or nobody wants more.
type bounded struct {
	io.ReadCloser
	ctx       context.Context
	in        *counting
	out, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.out += int64(n)
	switch {
	case b.out > ratioFrom && b.out > maxRatio*b.in.n:
		return n, fmt.Errorf("it unpacks to more than %d times its size, %d bytes to %d so far, as decompression bombs do; if it is meant so, unpack it and import the folder",
			maxRatio, b.in.n, b.out)
	case b.out > b.most:
		return n, &TooLargeError{b.most - slack}
	}
	if err != nil && !errors.Is(err, io.EOF) && b.in.n > 0 {
		err = fmt.Errorf("the compressed stream is cut off or damaged: %w", err)
	}
	return n, err
}

// xz decompresses with the program of that name: Go has no decoder that bounds its memory or knows the filters for machine code.
func xz(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	cmd := exec.CommandContext(ctx, "xz", "--decompress", "--stdout", "--threads=2", fmt.Sprintf("--memlimit-decompress=%d", decoderMem))
	cmd.Env = []string{"LC_ALL=C"} // XZ_DEFAULTS and XZ_OPT would change what it does.
	p := &process{cmd: cmd, name: "xz"}
	cmd.Stdin, cmd.Stderr = r, &p.messages
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.Reader = out
	if err := start(cmd, "xz-utils"); err != nil {
		return nil, err
	}
	return p, nil
}

// start starts a program of a package.
func start(cmd *exec.Cmd, pkg string) error {
	err := cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("the program %s is needed and not installed; install the package %s", cmd.Args[0], pkg)
	}
	return err
}

// process is the output of a program; its end is that of the program, with what it said.
type process struct {
	io.Reader
	cmd      *exec.Cmd
	name     string
	messages bytes.Buffer
	waited   bool
}

func (p *process) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err == nil || p.waited {
		return n, err
	}
	p.waited = true
	if failed := p.cmd.Wait(); failed != nil {
		return n, said(p.name, failed, p.messages.String())
	}
	return n, err
}

// Close ends the program if it still runs.
func (p *process) Close() error {
	if !p.waited {
		p.waited = true
		_ = p.cmd.Process.Kill() // whoever closes before the end wants no more of it
		_ = p.cmd.Wait()
	}
	return nil
}

// said is the failure of a program with its last words.
func said(program string, err error, messages string) error {
	lines := strings.Split(strings.TrimSpace(messages), "\n")
	if last := strings.TrimSpace(strings.Join(lines[max(len(lines)-3, 0):], " ")); last != "" {
		return fmt.Errorf("%s: %w: %s", program, err, last)
	}
	return fmt.Errorf("%s: %w", program, err)
}
