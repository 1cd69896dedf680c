package kmsg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Reader reads the kernel's log from its beginning, a record a time: what the kernel says, and what was printed to it by
// [Log.Print].
type Reader struct {
	file *os.File
	next uint64
	buf  []byte
}

// OpenReader opens the kernel's log for reading. It needs root.
func OpenReader() (*Reader, error) {
	// Without blocking, deadlines work.
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's log: %w", err)
	}
	return NewReader(f), nil
}

// NewReader returns a reader of a file that gives one record a read, as the kernel's log does, and doesn't block.
func NewReader(f *os.File) *Reader { return &Reader{file: f, buf: make([]byte, 8<<10)} }

// SetDeadline is when Lines gives up waiting, with os.ErrDeadlineExceeded; the zero time is never. What is there already is
// read also after it.
func (r *Reader) SetDeadline(t time.Time) error { return r.file.SetReadDeadline(t) }

// SkipToEnd leaves out what is in the log by now.
func (r *Reader) SkipToEnd() error {
	if _, err := r.file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("skip what the kernel's log has: %w", err)
	}
	r.next = math.MaxUint64 // whatever comes next, nothing is missing before it
	return nil
}

// Close ends reading.
func (r *Reader) Close() error { return r.file.Close() }

// Lines waits for the next record and returns its lines, as dmesg shows them. Where records were overwritten before
// they could be read, a line says how many.
func (r *Reader) Lines() ([]string, error) {
	for {
		n, err := r.read()
		if errors.Is(err, unix.EPIPE) {
			continue // the next one has a number that tells how many are missing
		}
		if err != nil {
			return nil, err
		}
		if lines := r.record(r.buf[:n]); len(lines) > 0 {
			return lines, nil
		}
	}
}

// read reads a record that is there, or else waits for one. An os.File whose deadline is over would not even look.
func (r *Reader) read() (n int, err error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	if err := raw.Control(func(fd uintptr) { n, readErr = unix.Read(int(fd), r.buf) }); err != nil {
		return 0, err
	}
	switch {
	case errors.Is(readErr, unix.EAGAIN), errors.Is(readErr, unix.EINTR):
		return r.file.Read(r.buf)
	case readErr != nil:
		return 0, fmt.Errorf("read the kernel's log: %w", readErr)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// record reads one record: "PRIORITY,NUMBER,MICROSECONDS,FLAGS[,…];TEXT\n" and lines that begin with a space, which tell
// more (Documentation/ABI/testing/dev-kmsg). Numbers begin at 0. A text of several lines becomes several, as dmesg has it.
func (r *Reader) record(data []byte) (lines []string) {
	head, text, ok := bytes.Cut(data, []byte(";"))
	fields := strings.Split(string(head), ",")
	if !ok || len(fields) < 3 {
		return nil
	}
	number, err := strconv.ParseUint(fields[1], 10, 64)
	at, err2 := strconv.ParseUint(fields[2], 10, 64)
	if err != nil || err2 != nil {
		return nil
	}
	if number > r.next {
		lines = append(lines, fmt.Sprintf("... %d messages of the kernel's log are missing here ...", number-r.next))
	}
	r.next = number + 1
	body, _, _ := bytes.Cut(text, []byte("\n"))
	for line := range strings.SplitSeq(strings.TrimRight(unescape(string(body)), "\n"), "\n") {
		lines = append(lines, fmt.Sprintf("[%5d.%06d] %s", at/1e6, at%1e6, line))
	}
	return lines
}

// unescape undoes \xNN, by which the kernel writes every byte that is not printable ASCII, of line ends, tabs, backslashes and
// UTF-8. Control characters stay as they are written.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 4 && s[0] == '\\' && s[1] == 'x' {
			n, err := strconv.ParseUint(s[2:4], 16, 8)
			if c := byte(n); err == nil && (c >= 0x80 || c == '\n' || c == '\t' || c == '\\') {
				b.WriteByte(c)
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return strings.ToValidUTF8(b.String(), "?")
}
