package tracker

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkAnnounceOverHTTP is what a seeder can answer in a swarm of ten thousand, clients and server sharing this machine:
// each request on a connection of its own, as at the start of a room, and on connections that are kept.
func BenchmarkAnnounceOverHTTP(b *testing.B) {
	for name, fresh := range map[string]bool{"new connections": true, "kept connections": false} {
		b.Run(name, func(b *testing.B) {
			r := newRoom()
			for n := range 10_000 {
				r.node(b, n, "")
			}
			server := httptest.NewServer(r.Announce())
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: 100}}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					resp, err := client.Get(server.URL + "?" + query(torrent, fmt.Sprintf("&peer_id=node%016d&port=6881&left=100&numwant=200", n)))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "announces/s")
		})
	}
}
