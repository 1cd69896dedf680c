package web

import (
	"context"
	"net/http"

	"golang.org/x/time/rate"
)

// limitedResponse sends no faster than a limit, and without sendfile(2), which would send a file at once.
type limitedResponse struct {
	http.ResponseWriter
	ctx   context.Context
	limit *rate.Limiter
}

// Write implements io.Writer.
func (w *limitedResponse) Write(p []byte) (sent int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), w.limit.Burst(), 16<<10)] // as a block of BitTorrent, beside which it waits
		if err = w.limit.WaitN(w.ctx, len(part)); err == nil {
			var n int
			n, err = w.ResponseWriter.Write(part)
			sent, p = sent+n, p[len(part):]
		}
	}
	return sent, err
}
