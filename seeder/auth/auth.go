// Package auth decides who may change something over HTTP, and who may read: in go requests and the site's key page (a bcrypt hash,
// and whether reading needs the password too), out come those that may go on. People log in, and have a session by a cookie and a CSRF
// token for each change; programs send the password with each request (HTTP Basic, RFC 7617). As long as the site has no password nobody
// changes anything over HTTP. What nodes need to boot is never behind this.
package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// cookieName is the session's cookie, which other services on the same host don't use: cookies know no ports (RFC 6265, 8.5).
	cookieName = "boottorrent_session"
	// sessionTime is how long a session lasts, maxSessions how many there are at most; the oldest ends first.
	sessionTime = 12 * time.Hour
	maxSessions = 256

	// Wrong passwords: one address may try five, then one each ten seconds; all together 30, then one each two seconds.
	addressBurst, addressEvery = 5, 10 * time.Second
	totalBurst, totalEvery     = 30, 2 * time.Second
)

// FieldCSRF is the field of a form, and HeaderCSRF the header, that has [Session.CSRF].
const (
	FieldCSRF  = "csrf"
	HeaderCSRF = "X-CSRF-Token"
)

// Config is what an Auth needs.
type Config struct {
	// Page returns the site's keys as they are now: the bcrypt hash of the password, empty if there is none, and whether reading needs it.
	Page func() (hash string, read bool)
	Log  *slog.Logger     // nil: nothing is logged
	Now  func() time.Time // nil: time.Now
}

// Auth knows who is logged in. Its methods may be called from any goroutine.
type Auth struct {
	cfg   Config
	cross *http.CrossOriginProtection
	// secret is of this process: CSRF tokens and what is remembered of passwords are made with it.
	secret []byte

	mu       sync.Mutex
	sessions map[string]session // by the SHA-256 of their cookie, in hexadecimal

	// trying is held while a password is compared, for as long as that takes: whoever has a session doesn't wait for it.
	trying sync.Mutex
	// attempts bound the wrong passwords of an address, total those of all but known, the addresses that have given the right one.
	attempts map[netip.Addr]*rate.Limiter
	total    *rate.Limiter
	known    map[netip.Addr]bool
	// right is the last password that was right, so that programs that send it each time cost no bcrypt. See fingerprint.
	right string
}

type session struct {
	ends time.Time
	// hash is the one that the password was checked with: another password ends all sessions.
	hash string
}

// New returns an Auth with nobody logged in.
func New(cfg Config) *Auth {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	return &Auth{
		cfg: cfg, cross: http.NewCrossOriginProtection(), secret: secret, sessions: map[string]session{},
		attempts: map[netip.Addr]*rate.Limiter{}, total: rate.NewLimiter(rate.Every(totalEvery), totalBurst), known: map[netip.Addr]bool{},
	}
}

// Session is what a page needs to know of who looks at it.
type Session struct {
	// On says that the site has a password: without one nobody changes anything over HTTP.
	On bool
	// LoggedIn says that the request has a session, and CSRF is then what its changes must have.
	LoggedIn bool
	CSRF     string
}

// Session returns the session of a request.
func (a *Auth) Session(r *http.Request) Session {
	hash, _ := a.cfg.Page()
	s := Session{On: hash != ""}
	c, err := r.Cookie(cookieName)
	if err != nil || !s.On {
		return s
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if got, ok := a.sessions[digest(c.Value)]; ok && got.hash == hash && a.cfg.Now().Before(got.ends) {
		s.LoggedIn, s.CSRF = true, a.mac("csrf", c.Value)
	}
	return s
}

// begin makes a session, and returns the value of its cookie.
func (a *Auth) begin(hash string) string {
	cookie := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Now()
	var oldest string
	for key, s := range a.sessions {
		if !now.Before(s.ends) || s.hash != hash {
			delete(a.sessions, key)
		} else if oldest == "" || s.ends.Before(a.sessions[oldest].ends) {
			oldest = key
		}
	}
	if len(a.sessions) >= maxSessions {
		delete(a.sessions, oldest)
	}
	a.sessions[digest(cookie)] = session{ends: now.Add(sessionTime), hash: hash}
	return cookie
}

// end ends the session of a cookie.
func (a *Auth) end(cookie string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, digest(cookie))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// mac authenticates a text for a purpose, for as long as this process runs.
func (a *Auth) mac(purpose, text string) string {
	h := hmac.New(sha256.New, a.secret)
	h.Write([]byte(purpose + "\x00" + text))
	return hex.EncodeToString(h.Sum(nil))
}

// equal compares two secrets in a time that says nothing of them.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
