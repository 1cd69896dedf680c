package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/boottorrent/boottorrent/seeder/auth"
	"github.com/boottorrent/boottorrent/seeder/room"
)

// maxBody is the most bytes of a request: 5,000 MAC addresses have 100 kB.
const maxBody = 256 << 10

// bounded bounds the bodies of requests to next.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// failure is an error with the status of its answer.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

func failed(code int, format string, args ...any) error {
	return failure{code, fmt.Sprintf(format, args...)}
}

// Error is the body of an answer that is not 200.
type Error struct {
	Error string `json:"error"`
}

// answer serves a route: with JSON, or where a person's form was sent and all went well, with 303 to the page that the form names.
func (a *API) answer(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := route.handle(w, r)
		w.Header().Set("Cache-Control", "no-store")
		if err == nil && route.changes && auth.IsForm(r) && wantsHTML(r) {
			http.Redirect(w, r, auth.Back(r), http.StatusSeeOther)
			return
		}
		code := http.StatusOK
		if err != nil {
			code, got = codeOf(err), Error{err.Error()}
		}
		if err != nil && auth.IsForm(r) && wantsHTML(r) {
			http.Error(w, err.Error(), code)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(got) // who asked may be gone
	})
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// codeOf is the status of an answer that is an error.
func codeOf(err error) int {
	var f failure
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f.code
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, room.ErrTarget):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Request is the body of what changes something, each with those of the fields that it knows; as JSON, or as a form with the field target
// once for each target.
type Request struct {
	Targets []string `json:"targets"`
	// What is what machines start the next time, Once whether they do so once.
	What string `json:"what,omitempty"`
	Once bool   `json:"once,omitempty"`
	// Action and System are the order's, Wait is how many seconds it waits for its machines.
	Action string `json:"action,omitempty"`
	System string `json:"system,omitempty"`
	Wait   int    `json:"wait,omitempty"`
}

// read reads a request's body.
func read(r *http.Request) (req Request, err error) {
	if auth.IsForm(r) {
		return readForm(r)
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return req, failed(http.StatusUnsupportedMediaType, "the body is %q; send application/json, or a form", kind)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return req, err
		}
		return req, failed(http.StatusBadRequest, "the body: %v", err)
	}
	return req, nil
}

func readForm(r *http.Request) (req Request, err error) {
	if err := r.ParseForm(); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return req, err
		}
		return req, failed(http.StatusBadRequest, "the form: %v", err)
	}
	f := r.PostForm
	req = Request{Targets: f["target"], What: f.Get("what"), Once: f.Has("once"), Action: f.Get("action"), System: f.Get("system")}
	if text := f.Get("wait"); text != "" {
		if _, err := fmt.Sscan(text, &req.Wait); err != nil {
			return req, failed(http.StatusBadRequest, "wait is %q; want a number of seconds", text)
		}
	}
	return req, nil
}
