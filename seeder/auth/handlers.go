package auth

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// The paths of the page's forms.
const (
	// PathLogin takes a form with the fields password and back, or as JSON {"password": …}; GET is the page's own.
	PathLogin = "/login"
	// PathLogout takes a form with the fields csrf and back.
	PathLogout = "/logout"
	// FieldBack is the field of a form that says which page of the seeder's to go to afterwards.
	FieldBack = "back"
)

// maxForm is the most bytes of a form of this package.
const maxForm = 4 << 10

// Login begins a session: POST with the password as a form or as JSON. A form is answered with 303 to the page in its field back, JSON
// with {"csrf": TOKEN}.
func (a *Auth) Login() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.cross.Check(r); err != nil {
			refuse(w, r, errCrossing)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		password, err := passwordOf(r)
		if err != nil {
			writeError(w, r, http.StatusBadRequest, err.Error())
			return
		}
		hash, _ := a.cfg.Page() // before: if it becomes another one meanwhile, so does this session not count
		if err := a.checkPassword(addrOf(r), password); err != nil {
			refuse(w, r, err)
			return
		}
		cookie := a.begin(hash)
		setCookie(w, r, cookie, int(sessionTime.Seconds()))
		a.cfg.Log.Info("somebody logged in", "client", addrOf(r))
		if IsForm(r) {
			http.Redirect(w, r, Back(r), http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"csrf": a.mac("csrf", cookie)})
	})
}

// passwordOf reads the password of a request to log in.
func passwordOf(r *http.Request) (string, error) {
	if IsForm(r) {
		if err := r.ParseForm(); err != nil {
			return "", fmt.Errorf("the form: %w", err)
		}
		return r.PostForm.Get("password"), nil
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return "", fmt.Errorf("want a form, or JSON with a password: %w", err)
	}
	return body.Password, nil
}

// Logout ends the session of a request.
func (a *Auth) Logout() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := a.mayChange(r); err != nil {
			refuse(w, r, err)
			return
		}
		if c, err := r.Cookie(cookieName); err == nil {
			a.end(c.Value)
		}
		setCookie(w, r, "", -1)
		if IsForm(r) {
			http.Redirect(w, r, Back(r), http.StatusSeeOther)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// Change lets a request to next if it may change something. Others are answered with 401, 403 or 429, as JSON below /api/.
func (a *Auth) Change(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.mayChange(r); err != nil {
			a.turnAway(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mayChange reports why a request may not change anything.
func (a *Auth) mayChange(r *http.Request) error {
	if hash, _ := a.cfg.Page(); hash == "" {
		return errOff
	}
	if err := a.cross.Check(r); err != nil { // also of programs: browsers send passwords that they remember to any address
		return errCrossing
	}
	if _, password, ok := r.BasicAuth(); ok {
		return a.checkPassword(addrOf(r), password)
	}
	s := a.Session(r)
	if !s.LoggedIn {
		return errLogin
	}
	token := r.Header.Get(HeaderCSRF)
	if token == "" && IsForm(r) {
		if err := r.ParseForm(); err != nil {
			return &refusal{code: http.StatusBadRequest, text: "the form: " + err.Error()}
		}
		token = r.PostForm.Get(FieldCSRF)
	}
	if !equal(token, s.CSRF) {
		return errCSRF
	}
	return nil
}

// Read lets a request to next if it may read. Where the site wants a password for that too, people are led to the page to log in.
func (a *Auth) Read(next http.Handler) http.Handler {
	if next == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.mayRead(r); err != nil {
			a.turnAway(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Auth) mayRead(r *http.Request) error {
	hash, read := a.cfg.Page()
	if !read || hash == "" {
		return nil
	}
	if _, password, ok := r.BasicAuth(); ok {
		return a.checkPassword(addrOf(r), password)
	}
	if !a.Session(r).LoggedIn {
		return errLogin
	}
	return nil
}

// turnAway answers a request that may not go on. A person who isn't logged in is led to the page for that.
func (a *Auth) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	if err != errLogin || !wantsHTML(r) {
		refuse(w, r, err)
		return
	}
	back := r.URL.RequestURI()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		back = "/"
		if IsForm(r) {
			back = Back(r)
		}
	}
	http.Redirect(w, r, PathLogin+"?"+FieldBack+"="+url.QueryEscape(back), http.StatusSeeOther)
}

// IsForm reports whether a request's body is a form of a page.
func IsForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// Back is the page that a form wants to go to: a path on this server, whatever somebody wrote there.
func Back(r *http.Request) string {
	_ = r.ParseForm()
	return SafePath(r.Form.Get(FieldBack))
}

// SafePath returns a path on this server, "/" if the text is none: browsers take "//host" and "/\host" for another server's.
func SafePath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(text, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// writeError answers with words: below /api/ as JSON.
func writeError(w http.ResponseWriter, r *http.Request, code int, text string) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		http.Error(w, text, code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// addrOf is the address that a request comes from.
func addrOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
