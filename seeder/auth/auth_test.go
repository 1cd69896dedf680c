package auth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/need"
)

// house is an Auth behind a server's handlers, with a clock that stands.
type house struct {
	t *testing.T
	*Auth
	hash string
	read bool
	now  time.Time
	mux  *http.ServeMux
	// changes is how many requests were let through.
	changes int
}

func newHouse(t *testing.T, password string) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC), mux: http.NewServeMux()}
	h.setPassword(password)
	h.Auth = New(Config{Page: func() (string, bool) { return h.hash, h.read }, Now: func() time.Time { return h.now }})
	h.mux.Handle("POST "+PathLogin, h.Login())
	h.mux.Handle("POST "+PathLogout, h.Logout())
	h.mux.Handle("GET /", h.Read(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "the page") })))
	h.mux.Handle("POST /", h.Change(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { h.changes++ })))
	return h
}

func (h *house) setPassword(password string) {
	h.hash = ""
	if password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			h.t.Fatal(err)
		}
		h.hash = string(hash)
	}
}

// request is one with a change made to it.
func (h *house) request(method, path, body string, change ...func(*http.Request)) *http.Response {
	h.t.Helper()
	r := httptest.NewRequest(method, "http://seeder:8080"+path, strings.NewReader(body))
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr + ":4711" }
}

func password(p string) func(*http.Request) { return func(r *http.Request) { r.SetBasicAuth("", p) } }

// login returns what adds the session's cookie to a request.
func (h *house) login(password string) func(*http.Request) {
	h.t.Helper()
	resp := h.request("POST", PathLogin, url.Values{"password": {password}, "back": {"/nodes"}}.Encode(), form)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/nodes" || len(resp.Cookies()) != 1 {
		h.t.Fatalf("log in: %d %v: %s", resp.StatusCode, resp.Header, text(h.t, resp))
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		h.t.Errorf("the cookie %v", c)
	}
	return func(r *http.Request) { r.AddCookie(c) }
}

// csrf is the token of the session whose cookie cookie adds.
func (h *house) csrf(cookie func(*http.Request)) string {
	r := httptest.NewRequest("GET", "/", nil)
	cookie(r)
	return h.Session(r).CSRF
}

func TestNobodyChangesWithoutAPassword(t *testing.T) {
	h := newHouse(t, "")
	for name, try := range map[string]func(*http.Request){"nothing": func(*http.Request) {}, "an empty password": password(""), "a password": password("secret")} {
		if resp := h.request("POST", "/api/v1/wake", "{}", try); resp.StatusCode != http.StatusForbidden || !strings.Contains(text(t, resp), "seeder password") {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if resp := h.request("POST", PathLogin, "password=", form); resp.StatusCode != http.StatusForbidden {
		t.Errorf("log in without a password: %d", resp.StatusCode)
	}
	if resp := h.request("GET", "/", ""); resp.StatusCode != http.StatusOK || h.changes != 0 {
		t.Errorf("read: %d; %d changes", resp.StatusCode, h.changes)
	}
}

func TestChange(t *testing.T) {
	h := newHouse(t, "secret")
	cookie := h.login("secret")
	token := h.csrf(cookie)
	other := h.csrf(h.login("secret"))
	if token == "" || token == other {
		t.Fatalf("tokens %q and %q", token, other)
	}
	withToken := header(HeaderCSRF, token)
	for _, c := range []struct {
		name   string
		body   string
		change []func(*http.Request)
		want   int
	}{
		{"nobody", "{}", nil, 401},
		{"the password", "{}", []func(*http.Request){password("secret")}, 200},
		{"a wrong password", "{}", []func(*http.Request){password("Secret")}, 401},
		{"the password, sent by a browser for another site's page", "{}", []func(*http.Request){password("secret"), header("Origin", "http://evil.example")}, 403},
		{"a session without a token", "{}", []func(*http.Request){cookie}, 403},
		{"a session with the token of another", "{}", []func(*http.Request){cookie, header(HeaderCSRF, other)}, 403},
		{"a token without a session", "{}", []func(*http.Request){withToken}, 401},
		{"a session with its token", "{}", []func(*http.Request){cookie, withToken}, 200},
		{"the same from this server's page", "{}", []func(*http.Request){cookie, withToken, header("Origin", "http://seeder:8080")}, 200},
		{"the same from another site's page", "{}", []func(*http.Request){cookie, withToken, header("Origin", "http://evil.example")}, 403},
		{"a form with the token", "csrf=" + token, []func(*http.Request){cookie, form}, 200},
		{"a form without", "target=all", []func(*http.Request){cookie, form}, 403},
	} {
		before := h.changes
		resp := h.request("POST", "/api/v1/wake", c.body, c.change...)
		if resp.StatusCode != c.want || (h.changes > before) != (c.want == 200) {
			t.Errorf("%s: %d %s, want %d; %d changes", c.name, resp.StatusCode, text(t, resp), c.want, h.changes-before)
		}
	}
}

// A session ends with its time, with a new password, and when somebody logs out.
func TestSessionsEnd(t *testing.T) {
	h := newHouse(t, "secret")
	may := func(cookie func(*http.Request), token string) bool {
		return h.request("POST", "/", "", cookie, header(HeaderCSRF, token)).StatusCode == 200
	}
	cookie := h.login("secret")
	token := h.csrf(cookie)
	if h.now = h.now.Add(sessionTime - time.Minute); !may(cookie, token) {
		t.Error("it ended before its time")
	}
	if h.now = h.now.Add(time.Minute); may(cookie, token) {
		t.Error("it did not end with its time")
	}
	cookie = h.login("secret")
	token = h.csrf(cookie)
	h.setPassword("other")
	if may(cookie, token) {
		t.Error("it did not end with its password")
	}
	cookie = h.login("other")
	token = h.csrf(cookie)
	if resp := h.request("POST", PathLogout, "csrf=&back=/", cookie, form); resp.StatusCode != 403 || !may(cookie, token) {
		t.Errorf("another site can log somebody out: %d", resp.StatusCode)
	}
	if resp := h.request("POST", PathLogout, "csrf="+token, cookie, form); resp.StatusCode != 303 || may(cookie, token) {
		t.Errorf("log out: %d", resp.StatusCode)
	}
	for range maxSessions + 10 {
		h.login("other")
	}
	if len(h.sessions) > maxSessions {
		t.Errorf("%d sessions", len(h.sessions))
	}
}

// One address may try a few passwords, many a few more, and neither keeps out who is known or sends the right one from elsewhere in time.
func TestWrongPasswordsAreFew(t *testing.T) {
	h := newHouse(t, "secret")
	try := func(addr, p string) int {
		return h.request("POST", "/", "", from(addr), password(p)).StatusCode
	}
	h.login("secret") // from httptest's 192.0.2.1
	for i := range addressBurst {
		if got := try("10.0.0.1", strconv.Itoa(i)); got != 401 {
			t.Fatalf("try %d: %d", i, got)
		}
	}
	resp := h.request("POST", "/", "", from("10.0.0.1"), password("secret"))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "11" {
		t.Errorf("after %d wrong ones even the right one waits: %d, Retry-After %q", addressBurst, resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if got := try("10.0.0.2", "secret"); got != 200 {
		t.Errorf("another address: %d", got)
	}
	h.now = h.now.Add(addressEvery)
	if got := try("10.0.0.1", "secret"); got != 200 {
		t.Errorf("after a while: %d", got)
	}
	refused := 0
	for i := range 100 {
		if try(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String(), "guess") == 429 {
			refused++
		}
	}
	if refused < 100-totalBurst-5 {
		t.Errorf("of 100 addresses with one guess each %d were refused", refused)
	}
	if got := try("10.0.2.1", "secret"); got != 429 {
		t.Errorf("a stranger with the right one, while all are too many: %d", got)
	}
	if got := try("192.0.2.1", "secret"); got != 200 {
		t.Errorf("one who is known is kept out by others: %d", got)
	}
	h.now = h.now.Add(time.Hour)
	try("10.0.0.9", "guess")
	if len(h.attempts) > 1 {
		t.Errorf("%d addresses are remembered", len(h.attempts))
	}
}

func TestRead(t *testing.T) {
	h := newHouse(t, "secret")
	if resp := h.request("GET", "/", ""); resp.StatusCode != 200 {
		t.Errorf("reading needs no password: %d", resp.StatusCode)
	}
	h.read = true
	if resp := h.request("GET", "/nodes?x=1", "", header("Accept", "text/html,*/*")); resp.StatusCode != 303 || resp.Header.Get("Location") != "/login?back=%2Fnodes%3Fx%3D1" {
		t.Errorf("a person: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp := h.request("GET", "/api/v1/nodes", ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a program: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := h.request("GET", "/api/v1/nodes", "", header("Origin", "http://seeder:8080")); resp.Header.Get("WWW-Authenticate") != "" {
		t.Error("a page's script makes the browser ask for a password")
	}
	for name, allowed := range map[string]func(*http.Request){"a session": h.login("secret"), "the password": password("secret")} {
		if resp := h.request("GET", "/", "", allowed); resp.StatusCode != 200 || text(t, resp) != "the page" {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

func TestSafePath(t *testing.T) {
	for text, want := range map[string]string{
		"/nodes?x=1": "/nodes?x=1", "": "/", "nodes": "/", "//evil.example": "/", `/\evil.example`: "/", "http://evil.example/": "/", "javascript:alert(1)": "/",
		"/a\r\nSet-Cookie: x": "/", "/%2f/evil": "/",
	} {
		if got := SafePath(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestHash(t *testing.T) {
	hash, err := Hash("correct horse")
	if err != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte("correct horse")) != nil {
		t.Errorf("%q, %v", hash, err)
	}
	for _, bad := range []string{"", strings.Repeat("x", 73)} {
		if _, err := Hash(bad); err == nil {
			t.Errorf("a password of %d bytes is taken", len(bad))
		}
	}
}

// Strangers who guess passwords, each of which takes bcrypt's time, keep nobody waiting who is logged in.
func TestSessionsDoNotWaitForPasswords(t *testing.T) {
	h := newHouse(t, "secret")
	cookie := h.login("secret")
	h.trying.Lock() // as while a password is compared
	defer h.trying.Unlock()
	read := make(chan int, 1)
	go func() {
		h.csrf(cookie)
		read <- h.request("GET", "/", "", cookie).StatusCode
	}()
	select {
	case code := <-read:
		if code != 200 {
			t.Errorf("%d", code)
		}
	case <-time.After(need.Patience):
		t.Fatal("it waits")
	}
}
