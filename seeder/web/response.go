package web

import (
	"io"
	"math"
	"net/http"
	"time"
)

const (
	// chunk is what a client has to take within stallTime: about 1 kB/s, a tenth of what a thousand nodes get that start at once
	// over a link of 100 Mbit/s. Whoever takes less has gone, and would hold a connection for ever. That slow ones keep nobody
	// from a slot is the matter of package admit.
	chunk     = 64 << 10
	stallTime = time.Minute
)

// response counts what is sent and moves the connection's write deadline along with it.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	bytes   int64
	// kind is the request's, "other" if no handler took it; system the one of which a file is sent, if that is so.
	kind, system string
	// sent is told of each part of the body that was sent; nil: nobody is.
	sent func(int64)
}

func newResponse(w http.ResponseWriter) *response {
	r := &response{ResponseWriter: w, control: http.NewResponseController(w), status: http.StatusOK, kind: "other"}
	// Also because an earlier request on this connection left its own.
	r.extend()
	return r
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// extend gives the client time for the next chunk. Writers without deadlines are those of tests.
func (r *response) extend() { _ = r.control.SetWriteDeadline(time.Now().Add(stallTime)) }

// count notes that so many bytes of the body were sent.
func (r *response) count(n int64) {
	r.bytes += n
	if r.sent != nil {
		r.sent(n)
	}
}

// WriteHeader implements http.ResponseWriter.
func (r *response) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (r *response) Write(p []byte) (int, error) {
	r.extend()
	n, err := r.ResponseWriter.Write(p)
	r.count(int64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom chunk by chunk. net/http sends files with sendfile(2) only when it is handed an
// *os.File with at most one io.LimitedReader around it: that of http.ServeContent is replaced by one for each chunk.
func (r *response) ReadFrom(src io.Reader) (n int64, err error) {
	limit := int64(math.MaxInt64)
	if l, ok := src.(*io.LimitedReader); ok {
		src, limit = l.R, l.N
		defer func() { l.N -= n }()
	}
	for n < limit {
		r.extend()
		part := &io.LimitedReader{R: src, N: min(chunk, limit-n)}
		m, err := io.Copy(r.ResponseWriter, part)
		n += m
		r.count(m)
		if err != nil || part.N > 0 {
			return n, err
		}
	}
	return n, nil
}
