package origin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
)

const partSuffix = ".part"

// reserve is what stays free on the disk for everything else that the seeder writes, in bytes.
const reserve = 64 << 20

// Progress is told how many bytes of a file are here, and of how many; total is -1 where that is not known. It is called from one goroutine.
type Progress func(done, total int64)

// Fetch brings a file into the folder dir, unless it is there. It goes on where an earlier attempt ended, and tries again where that may
// help; then it returns an *[Error].
func (c *Client) Fetch(ctx context.Context, dir string, o site.Origin, progress Progress) error {
	if Here(dir, o) {
		return nil
	}
	done, err := c.alone(ctx, filepath.Join(dir, o.SHA256))
	if err != nil {
		return explain(o, err)
	}
	defer done()
	if Here(dir, o) {
		return nil // another system has it as well, and was first
	}
	p, err := openPart(ctx, dir, o)
	if err != nil {
		return explain(o, err)
	}
	defer p.file.Close()
	pause := c.pause
	for failed := 0; ; {
		before := p.have
		err := c.attempt(ctx, p, progress)
		if err == nil {
			return nil
		}
		said := explain(o, err)
		if p.have > before {
			failed, pause = 0, c.pause
		}
		if failed++; ctx.Err() != nil || !said.Temporary || failed >= c.attempts {
			return said
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return said
		}
		pause *= 2
	}
}

// alone waits until nobody else fetches a file: what is on its way is one file, whoever wants it. The function that it returns ends that.
func (c *Client) alone(ctx context.Context, path string) (done func(), err error) {
	for {
		c.mu.Lock()
		other := c.busy[path]
		if other == nil {
			own := make(chan struct{})
			c.busy[path] = own
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.busy, path)
				c.mu.Unlock()
				close(own)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// part is a file on its way.
type part struct {
	site.Origin
	dir  string
	file *os.File
	sum  hash.Hash
	// have is how much of it is in file, in bytes; validator and older say what is known of where that came from: older came in an earlier run.
	have      int64
	validator string
	older     bool
}

// openPart opens what came of a file so far.
func openPart(ctx context.Context, dir string, o site.Origin) (*part, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, o.SHA256+partSuffix), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	p := &part{Origin: o, dir: dir, file: f, sum: sha256.New()}
	if p.have, err = io.Copy(p.sum, contextReader{ctx, f}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	p.older = p.have > 0
	return p, nil
}

// contextReader reads until a context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// anew forgets what came.
func (p *part) anew() error {
	p.sum.Reset()
	p.have, p.validator, p.older = 0, "", false
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(err, p.file.Truncate(0))
}

// discard removes what came: it is of no use, or in the way.
func (p *part) discard() { _ = errors.Join(p.anew(), os.Remove(p.file.Name())) }

// attempt is one request, and what comes of it.
func (c *Client) attempt(ctx context.Context, p *part, progress Progress) error {
	if p.Size >= 0 && p.have > p.Size {
		if err := p.anew(); err != nil {
			return err
		}
	}
	if p.Size < 0 || p.have < p.Size {
		if err := c.receive(ctx, p, progress); err != nil {
			return err
		}
	}
	return p.finish()
}

func (c *Client) receive(ctx context.Context, p *part, progress Progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	defer watch.Stop()
	b, err := c.driver(p.URL).open(ctx, p.Origin, position{p.have, p.validator})
	if err != nil {
		return cause(ctx, err)
	}
	defer b.Close()
	if err := fits(p.Origin, b.size); err != nil {
		return err
	}
	if b.from != p.have {
		if b.from != 0 {
			return fmt.Errorf("the server sends from byte %d on, and was asked for those from %d on", b.from, p.have)
		}
		if err := p.anew(); err != nil {
			return err
		}
	}
	p.validator = b.validator
	if err := p.checkSpace(b.size); err != nil {
		return err
	}
	for buffer := make([]byte, 256<<10); ; {
		n, err := b.Read(buffer)
		watch.Reset(c.stall)
		if p.have+int64(n) > p.Limit {
			p.discard()
			return &Error{What: fmt.Sprintf("more than the %d bytes came that it may have", p.Limit), Do: "correct the URL, the size or the digest", Wrong: true}
		}
		if err := p.write(buffer[:n]); err != nil {
			return err
		}
		progress(p.have, b.size)
		if err == io.EOF {
			break
		}
		if err != nil {
			return cause(ctx, err)
		}
	}
	if b.size >= 0 && p.have < b.size {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// cause is why a request ended: that nothing came for too long is the library's "context canceled".
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); errors.Is(why, errStalled) {
		return why
	}
	return err
}

func (p *part) write(b []byte) error {
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.have += int64(n)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		p.discard() // there must be room for leases and logs
	}
	return err
}

// checkSpace returns an error if there is no room for the rest of a file of that size.
func (p *part) checkSpace(size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(p.file.Fd()), &st); err != nil || size < 0 {
		return nil // writing will tell
	}
	if free, need := int64(st.Bavail)*st.Frsize, size-p.have; need > free-reserve {
		return fmt.Errorf("%w: %s more are needed, and %s are free", unix.ENOSPC, text.Size(need), text.Size(free))
	}
	return nil
}

// finish gives what came its name, if it is what was asked for.
func (p *part) finish() error {
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.SHA256 {
		if p.older { // what came in an earlier run may have been of another file
			return errors.Join(errAnew, p.anew())
		}
		p.discard()
		return &Error{What: fmt.Sprintf("what came has the SHA-256 %s, and not %s", got, p.SHA256), Wrong: true,
			Do: "ask who publishes it which is right: it may have been replaced by another version, whose digest is to be written here, or somebody has changed it"}
	}
	path := filepath.Join(p.dir, p.SHA256)
	return errors.Join(p.file.Chmod(0o444), p.file.Sync(), os.Rename(p.file.Name(), path), atomicfile.SyncFolder(p.dir))
}

// fits returns an error if a file can't be what an origin names, by its size; -1 says nothing.
func fits(o site.Origin, size int64) error {
	switch {
	case size < 0:
		return nil
	case o.Size >= 0 && size != o.Size:
		return &Error{What: fmt.Sprintf("the file there has %d bytes, and should have %d", size, o.Size), Do: "correct the URL, the size or the digest", Wrong: true}
	case size > o.Limit:
		return &Error{What: fmt.Sprintf("the file there has %d bytes, and may have %d", size, o.Limit), Do: "correct the URL", Wrong: true}
	}
	return nil
}
