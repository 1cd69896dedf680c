package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxHold is the longest that a request for the catalog waits for another one.
const maxHold = 30 * time.Second

// hold has a request for the catalog wait for another one than the client has: if it asks for that by "Prefer: wait=SECONDS" (RFC 7240
// section 4.3) and says by If-None-Match which one it has. The answer is then whatever there is, 304 as well.
func (s *Server) hold(w http.ResponseWriter, r *http.Request) {
	wait := preferredWait(r.Header)
	if wait <= 0 {
		return
	}
	s.mu.RLock()
	current, changed := s.current, s.changed
	s.mu.RUnlock()
	if current == nil || !strings.Contains(r.Header.Get("If-None-Match"), strings.TrimSuffix(current.catalog.etag, `"`)) {
		return
	}
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// preferredWait is for how long a client would wait, maxHold at most; 0: it does not say so.
func preferredWait(h http.Header) time.Duration {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(preference)), "wait=")
			if seconds, err := strconv.ParseUint(value, 10, 16); ok && err == nil {
				return min(time.Duration(seconds)*time.Second, maxHold)
			}
		}
	}
	return 0
}
