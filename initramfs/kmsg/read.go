package kmsg

import (
	"bytes"
	"errors"
	"fmt"
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
	return newReader(f), nil
}

func newReader(f *os.File) *Reader { return &Reader{file: f, buf: make([]byte, 8<<10)} }

// SetDeadline is when Lines gives up waiting, with os.ErrDeadlineExceeded; the zero time is never.
func (r *Reader) SetDeadline(t time.Time) error { return r.file.SetReadDeadline(t) }

// Close ends reading.
func (r *Reader) Close() error { return r.file.Close() }

// Lines waits for the next record and returns its lines, as dmesg shows them. Where records were overwritten before
// they could be read, a line says how many.
func (r *Reader) Lines() ([]string, error) {
	for {
		n, err := r.file.Read(r.buf)
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

// record reads one record: "PRIORITY,NUMBER,MICROSECONDS,FLAGS[,…];TEXT\n" and lines that begin with a space, which tell
// more (Documentation/ABI/testing/dev-kmsg). Of the text, bytes that are not printable are written \xNN.
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
	if r.next > 0 && number > r.next {
		lines = append(lines, fmt.Sprintf("... %d messages of the kernel's log are missing here ...", number-r.next))
	}
	r.next = number + 1
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return append(lines, fmt.Sprintf("[%5d.%06d] %s", at/1e6, at%1e6, unescape(string(line))))
}

// unescape undoes \xNN of bytes that are UTF-8 in the end.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 4 && s[0] == '\\' && s[1] == 'x' {
			if n, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return strings.ToValidUTF8(b.String(), "?")
}
