package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// attempts is how often a file is asked for again from where it ended, without a byte more.
const attempts = 3

// errOther says that a file is not what was signed.
var errOther = errors.New("it is not what was signed")

// ResumeBootFile reads a boot file into part, which has the beginning of it from an earlier call or is empty; what is there is not read again.
// It returns nil if part is what the manifest says then. Where the content is another one, part is emptied; on any other error it keeps
// what has come.
func (s *Seeder) ResumeBootFile(ctx context.Context, f catalog.BootFile, part *os.File) error {
	resumed, err := s.resume(ctx, f, part)
	if errors.Is(err, errOther) && resumed {
		_, err = s.resume(ctx, f, part) // what was there was damaged, perhaps
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", s.bootURL(f), err)
	}
	return nil
}

func (s *Seeder) bootURL(f catalog.BootFile) string {
	return s.Base + (&url.URL{Path: catalog.PathBoot + f.Path}).EscapedPath()
}

// resume reads the rest of a file, and reports whether some of it was there.
func (s *Seeder) resume(ctx context.Context, f catalog.BootFile, part *os.File) (resumed bool, err error) {
	h := sha256.New()
	done, err := beginning(part, f.Size, h)
	if err != nil {
		return false, err
	}
	resumed = done > 0
	for failures := 0; done < f.Size; {
		before := done
		if done, err = s.rest(ctx, f, part, done, h); err == nil {
			break
		}
		if failures++; done > before {
			failures = 0
		}
		if failures == attempts || ctx.Err() != nil || errors.Is(err, ErrGone) || errors.Is(err, errOther) || isPathError(err) {
			return resumed, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return resumed, err
		}
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != f.SHA256 {
		return resumed, errors.Join(fmt.Errorf("%w: its SHA-256 is %s, want %s", errOther, sum, f.SHA256), part.Truncate(0))
	}
	return resumed, nil
}

// isPathError reports whether it is the disk that fails, and not the network.
func isPathError(err error) bool {
	var p *os.PathError
	return errors.As(err, &p)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// beginning hashes what is there of a file, and returns how much that is. More than the file has is thrown away.
func beginning(part *os.File, size int64, h hash.Hash) (int64, error) {
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.Copy(h, io.LimitReader(part, size+1))
	if err == nil && n > size {
		h.Reset()
		n, err = 0, part.Truncate(0)
	}
	if err == nil {
		_, err = part.Seek(n, io.SeekStart)
	}
	return n, err
}

// rest asks for a file from an offset on, once, and returns how much there is of it then. A server that knows no ranges sends all of it.
func (s *Seeder) rest(ctx context.Context, f catalog.BootFile, part *os.File, from int64, h hash.Hash) (done int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.bootURL(f), nil)
	if err != nil {
		return from, err
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := s.client().Do(req)
	if err != nil {
		return from, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)):
	case resp.StatusCode == http.StatusOK:
		h.Reset()
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return from, err
		}
		if err := part.Truncate(0); err != nil {
			return from, err
		}
		from = 0
	case resp.StatusCode == http.StatusNotFound:
		return from, fmt.Errorf("%w: %s", ErrGone, resp.Status)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return from, fmt.Errorf("%w: it is shorter than the %d bytes that were signed", errOther, f.Size)
	default:
		return from, errors.New(resp.Status)
	}
	n, err := io.Copy(io.MultiWriter(part, h), io.LimitReader(awake(resp.Body, cancel), f.Size-from+1))
	done = from + n
	switch {
	case err == nil && done > f.Size:
		return 0, errors.Join(fmt.Errorf("%w: it is longer than %d bytes", errOther, f.Size), part.Truncate(0))
	case err == nil && done < f.Size:
		err = io.ErrUnexpectedEOF
	case err != nil && context.Cause(ctx) != nil:
		err = context.Cause(ctx)
	}
	return done, err
}

// awake is a body whose reading ends by cancel when nothing has come for the time of silence.
func awake(body io.Reader, cancel context.CancelCauseFunc) io.Reader {
	timer := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came for %s", silence)) })
	return &awakeReader{body, timer}
}

type awakeReader struct {
	io.Reader
	timer *time.Timer
}

func (r *awakeReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.timer.Stop()
		return n, err
	}
	r.timer.Reset(silence)
	return n, nil
}

// answer is the body of an answer that is awake. Its errors say why the request was ended, where it was. Close ends it.
type answer struct {
	ctx context.Context
	io.Reader
	body   io.Closer
	cancel context.CancelCauseFunc
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if cause := context.Cause(a.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (a *answer) Close() error {
	defer a.cancel(nil)
	return a.body.Close()
}
