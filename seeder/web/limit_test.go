package web

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// TestLimit fetches a system's file twice at a time: both together are no faster than the limit.
func TestLimit(t *testing.T) {
	const size, perSecond = 1 << 20, 4 << 20
	s := newSite(t, func(c *Config) { c.Limit = rate.NewLimiter(perSecond, 64<<10) })
	want := randomFile(t, s, size)
	base := serve(t, s)
	began := time.Now()
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			resp, err := http.Get(base + catalog.WebSeedPath(hash1) + "tiny/vmlinuz")
			if err != nil {
				done <- err
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err == nil && !bytes.Equal(got, want) {
				t.Errorf("got %d other bytes", len(got))
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	least := time.Duration(float64(2*size-64<<10) / perSecond * float64(time.Second))
	if took := time.Since(began); took < least {
		t.Errorf("%d bytes took %s, want %s at least", 2*size, took, least)
	}
}
