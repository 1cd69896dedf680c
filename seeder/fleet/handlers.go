package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/seeder/admit"
	"github.com/boottorrent/boottorrent/seeder/forward"
)

// post reports whether a request is a POST, and answers it if it isn't.
func post(w http.ResponseWriter, r *http.Request, otherwise string) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", "POST")
	http.Error(w, otherwise, http.StatusMethodNotAllowed)
	return false
}

// refused answers a body that can't be taken.
func (f *Fleet) refused(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("the body is larger than %d KiB", tooLarge.Limit>>10), http.StatusRequestEntityTooLarge)
		return
	}
	f.log.Debug("report or log refused", "client", r.RemoteAddr, "err", err)
	http.Error(w, err.Error(), http.StatusBadRequest)
}

// sender is whom a request with a body is from.
func (f *Fleet) sender(r *http.Request, body []byte) Sender {
	s := Sender{Node: addrOf(r.RemoteAddr), At: f.cfg.Now(), Body: body}
	s.By = s.Node
	if o, ok := forward.From(r); ok {
		s.Via, s.By, s.At, s.Doubt = o.Via, o.By, s.At.Add(-o.Age), o.Doubt
	}
	return s
}

// ReportHandler takes a report.Report as JSON by POST: 204 if it was taken, or 200 with the order that the node gets (Config.Answer), 400 with
// the reason if it can't be, 413 if it is larger than report.MaxBody.
func (f *Fleet) ReportHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !post(w, r, "send a report by POST") {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, report.MaxBody))
		if err != nil {
			f.refused(w, r, err)
			return
		}
		rep, err := decodeReport(bytes.NewReader(body))
		if err != nil {
			f.refused(w, r, err)
			return
		}
		from := f.sender(r, body)
		if from.Node.IsValid() && rep.IP == "" {
			rep.IP = from.Node.String()
		}
		f.record(rep, from)
		if f.cfg.Answer != nil {
			answer := f.cfg.Answer(rep, from)
			if answer.Help != "" {
				w.Header().Set(report.HelpHeader, answer.Help)
			}
			if len(answer.Order) > 0 {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(answer.Order) // a node that is gone gets it the next time
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// ListHandler answers GET with the list as a JSON array of report.Node.
func (f *Fleet) ListHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the list of nodes is read by GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		// A node at a time: all at once would be 10 MB of text for each that asks. The only error is a client that has gone.
		e := json.NewEncoder(w)
		e.SetIndent(" ", " ")
		before := "[\n "
		for _, n := range f.List() {
			if _, err := w.Write([]byte(before)); err != nil || e.Encode(n) != nil {
				return
			}
			before = ",\n "
		}
		if before == "[\n " {
			before = "["
			_, _ = w.Write([]byte(before))
		}
		_, _ = w.Write([]byte("]\n"))
	})
}

// LogHandler takes a report.Log as JSON by POST: 204 if it was taken, 400 with the reason if it can't be, 413 if it is larger
// than report.MaxLogBody, 503 if there is no room on the disk just now.
func (f *Fleet) LogHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !post(w, r, "send lines by POST; to read them: "+self.Seeder()+" logs") {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, report.MaxLogBody))
		if err != nil {
			f.refused(w, r, err)
			return
		}
		l, err := decodeLog(bytes.NewReader(body))
		if err != nil {
			f.refused(w, r, err)
			return
		}
		from := f.sender(r, body)
		if err := f.logs.add(l, from, f.Name(l.MAC)); err != nil {
			f.warnOfDisk(l.MAC, err)
			admit.ComeAgain(w, "the lines can't be kept just now; see the seeder's log")
			return
		}
		if f.cfg.Logged != nil {
			f.cfg.Logged(l, from)
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
