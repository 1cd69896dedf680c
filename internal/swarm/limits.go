package swarm

import (
	"context"
	"io"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

const (
	// upBurst and downBurst are what may go at once, in bytes: the answer to a request, or none could ever go.
	upBurst   = pick.MaxRequestSize
	downBurst = 256 << 10
)

// Limits bound the payload that all engines which have them send and receive together.
type Limits struct{ up, down *rate.Limiter } // nil is none

// NewLimits returns limits in bytes per second; 0 is no limit.
func NewLimits(upload, download int64) *Limits {
	l := &Limits{}
	if upload > 0 {
		l.up = rate.NewLimiter(rate.Limit(upload), upBurst)
	}
	if download > 0 {
		l.down = rate.NewLimiter(rate.Limit(download), downBurst)
	}
	return l
}

// UploadLimiter counts, in bytes, what the engine sends; nil if it has no limit. Who takes from it as well shares the
// limit: the seeder's HTTP server.
func (e *Engine) UploadLimiter() *rate.Limiter { return e.limits.up }

// reader reads from r no faster than the limit for what comes in.
func (l *Limits) reader(ctx context.Context, r io.Reader) io.Reader {
	if l.down == nil {
		return r
	}
	return &limitedReader{ctx, r, l.down}
}

type limitedReader struct {
	ctx     context.Context
	r       io.Reader
	limiter *rate.Limiter
}

// Read implements io.Reader.
func (r *limitedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), r.limiter.Burst())])
	if wait := r.limiter.WaitN(r.ctx, n); wait != nil {
		return n, wait
	}
	return n, err
}
