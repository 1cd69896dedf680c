package web

import (
	"net/http"
	"time"

	"github.com/boottorrent/boottorrent/seeder/admit"
)

// Bounds for every connection. There is no overall time for an answer: that would end long downloads; response has a deadline for
// each chunk instead.
const (
	// headerTime is how long a request's header may take, idleTime how long a connection may be idle between two requests: nodes
	// report every 15 s.
	headerTime, idleTime = 10 * time.Second, time.Minute
	// maxHeader is the size of a header in bytes, to which net/http adds 4 KiB. An announce has some 400 bytes, a browser's header
	// with cookies of other services on the same host a few KiB; times all connections it is what strangers can take.
	maxHeader = 8 << 10
)

// MaxListeners is how many get the page's changes at a time. When there is room for no more, who has many of them gives way to others, so that
// one machine can't keep the page from people.
const MaxListeners = 64

// requestKinds are the kinds of requests with their bounds. The rates are per address, and made for a room whose nodes all come from
// one: behind NAT, or by a proxy. They keep one machine from taking all of the processor, not a room from booting.
type requestKinds struct {
	boot, documents, files, page, events, api, announce, report, log, metrics, health admit.Kind
}

func kinds(files int) requestKinds {
	return requestKinds{
		// A thousand nodes that are switched on together ask for script, kernel and initramfs within seconds, and firmware doesn't
		// come again. So many downloads at a time are 1 Gbit/s with 30 kB/s each.
		boot: admit.Kind{Name: "boot", Short: "boot", Slots: 4096, PerSecond: 500, Burst: 8000},
		// Catalog, signature, torrents: some 100 kB, from memory.
		documents: admit.Kind{Name: "catalog and torrents", Short: "catalog", Slots: 4096, PerSecond: 1000, Burst: 20000},
		// Nodes fetch a piece with each request, a moment's work. A turn ends the ones that take their time when others wait.
		files: admit.Kind{Name: "systems' files", Short: "files", Slots: files, Turn: 20 * time.Second},
		// They are made for each request: a page of a thousand machines has 900 KB, 10,000 nodes are 8 MB of JSON. Each page loads four
		// documents, and several people open it at nine.
		page: admit.Kind{Name: "page and list of nodes", Short: "page", Slots: 32, Turn: 10 * time.Second, PerSecond: 20, Burst: 100},
		// They go on as long as a page is open.
		events: admit.Kind{Name: "the page's changes", Short: "events", Slots: MaxListeners, PerSecond: 5, Burst: 50},
		// A request may wait for news of an order for half a minute, and somebody who guesses passwords is slowed down by package auth.
		api: admit.Kind{Name: "API", Short: "api", Slots: 64, Turn: 5 * time.Second, PerSecond: 20, Burst: 200, BodyTime: 5 * time.Second},
		// 10,000 nodes announce 2,000 times a second in all.
		announce: admit.Kind{Name: "tracker", Short: "tracker", Slots: 512, Turn: 5 * time.Second, PerSecond: 2000, Burst: 20000, BodyTime: 5 * time.Second},
		// A busy node reports once a second, of at most 64 KiB.
		report: admit.Kind{Name: "reports", Short: "reports", Slots: 128, Turn: 5 * time.Second, PerSecond: 1000, Burst: 4000, BodyTime: 10 * time.Second},
		// A batch has up to 512 KiB, and a boot's log comes in two or three.
		log: admit.Kind{Name: "logs", Short: "logs", Slots: 32, Turn: 10 * time.Second, PerSecond: 200, Burst: 2000, BodyTime: 30 * time.Second},
		// They are made for each request, of all nodes.
		metrics: admit.Kind{Name: "metrics", Short: "metrics", Slots: 4, Turn: 10 * time.Second, PerSecond: 5, Burst: 20},
		health:  admit.Kind{Name: "health", Short: "health", PerSecond: 50, Burst: 200},
	}
}

// admit lets a kind of requests to a function of the server.
func (s *Server) admit(kind admit.Kind, next http.HandlerFunc) http.Handler {
	return admitted(s, kind, next)
}

// admitted is a handler within the bounds of a kind; nil if there is none.
func admitted(s *Server, kind admit.Kind, next http.Handler) http.Handler {
	if next == nil {
		return nil
	}
	bounded := s.cfg.Policy.Handler(kind, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if resp, ok := w.(*response); ok {
			resp.kind = kind.Short
		}
		bounded.ServeHTTP(w, r)
	})
}
