package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// pipes are the connections of a server without a network, so that it can be waited for by a test's own clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p <- there
	return here, nil
}

// A server that stops within an answer, or sends a byte now and then without an end, is left.
func TestDocumentsEnd(t *testing.T) {
	for what, c := range map[string]struct {
		// pause is between the bytes; 0: none comes after the first.
		pause, most time.Duration
		status      int
		says        string
	}{
		"silent":                   {0, silence, http.StatusOK, "nothing came for 30s"},
		"silent within an error":   {0, silence, http.StatusTeapot, "418"},
		"a byte now and then":      {silence / 2, 4 * time.Minute, http.StatusOK, "had not come to its end"},
		"an error without any end": {silence / 2, 4 * time.Minute, http.StatusTeapot, "418"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := pipes(make(chan net.Conn, 1))
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(c.status)
					var next <-chan time.Time
					for r.Context().Err() == nil {
						_, _ = w.Write([]byte("x"))
						_ = http.NewResponseController(w).Flush()
						if c.pause > 0 {
							next = time.After(c.pause)
						}
						select {
						case <-r.Context().Done():
						case <-next:
						}
					}
				})}
				go func() { _ = server.Serve(network) }()
				defer server.Close()
				transport := &http.Transport{DialContext: network.dial}
				defer transport.CloseIdleConnections()
				began := time.Now()
				_, err := (&Seeder{Base: "http://seeder", Client: &http.Client{Transport: transport}}).Manifest(t.Context())
				if took := time.Since(began); took > c.most || err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

// "Not modified" says something only to who has named what it has.
func TestUnchangedWithoutTag(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }))
	defer server.Close()
	s := &Seeder{Base: server.URL}
	for tag, unchanged := range map[string]bool{"": false, `"a"`: true} {
		if _, err := s.Catalog(t.Context(), tag, 0); err == nil || errors.Is(err, ErrUnchanged) != unchanged {
			t.Errorf("with the tag %q: %v", tag, err)
		}
	}
	if _, err := s.MachineFiles(t.Context(), catalog.Files{}); err == nil || errors.Is(err, ErrUnchanged) {
		t.Errorf("files for machines: %v", err)
	}
}
