package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/self"
)

// refusal is why somebody may not do something, as it is answered.
type refusal struct {
	code int
	text string
	// wait is after how long to come again; 0: that changes nothing.
	wait time.Duration
}

func (r *refusal) Error() string { return r.text }

var (
	errOff = &refusal{code: http.StatusForbidden, text: "nothing can be changed over HTTP: the site has no password. On the seeder's machine the commands need none; " +
		"or set one: '" + self.Seeder() + " password' prints the line for boottorrent.yaml"}
	errLogin = &refusal{code: http.StatusUnauthorized, text: "this needs the site's password: log in, or send it by HTTP Basic (curl -u :PASSWORD)"}
	errWrong = &refusal{code: http.StatusUnauthorized, text: "the password is wrong; try again. Who has lost it makes another: '" + self.Seeder() +
		" password' prints the line for boottorrent.yaml"}
	errCSRF     = &refusal{code: http.StatusForbidden, text: "the request does not have the token of this session; load the page again"}
	errCrossing = &refusal{code: http.StatusForbidden, text: "the request comes from another site's page"}
)

// checkPassword reports whether an address may go on with a password.
func (a *Auth) checkPassword(from netip.Addr, password string) error {
	hash, _ := a.cfg.Page()
	if hash == "" {
		return errOff
	}
	a.trying.Lock() // for all of it: the number of tries at a time is one
	defer a.trying.Unlock()
	now := a.cfg.Now()
	limit := a.attempts[from]
	if limit == nil {
		limit = rate.NewLimiter(rate.Every(addressEvery), addressBurst)
	}
	switch {
	case limit.TokensAt(now) < 1:
		return a.tooMany(from, limit, now)
	case !a.known[from] && a.total.TokensAt(now) < 1:
		return a.tooMany(from, a.total, now)
	}
	if a.isRight(hash, password) {
		delete(a.attempts, from)
		a.know(from)
		return nil
	}
	a.forgetRested(now)
	a.attempts[from] = limit
	limit.AllowN(now, 1)
	if !a.known[from] {
		a.total.AllowN(now, 1)
	}
	a.cfg.Log.Warn("a wrong password was given", "client", from)
	return errWrong
}

// isRight compares a password with its hash. The caller holds the lock.
func (a *Auth) isRight(hash, password string) bool {
	print := a.mac("password", hash+"\x00"+password)
	if equal(a.right, print) {
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return false
	}
	a.right = print
	return true
}

func (a *Auth) tooMany(from netip.Addr, limit *rate.Limiter, now time.Time) error {
	wait := time.Duration((1-limit.TokensAt(now))/float64(limit.Limit())*float64(time.Second)).Truncate(time.Second) + time.Second
	a.cfg.Log.Debug("a password is not looked at: too many wrong ones", "client", from)
	return &refusal{http.StatusTooManyRequests, fmt.Sprintf("too many wrong passwords; try again in %s", wait), wait}
}

// know remembers an address that has given the right password, so that strangers can't keep it out. It is no key to anything.
func (a *Auth) know(from netip.Addr) {
	if len(a.known) >= maxSessions {
		clear(a.known)
	}
	a.known[from] = true
}

// forgetRested forgets addresses that have not tried for long. The bound on all tries bounds how many there are.
func (a *Auth) forgetRested(now time.Time) {
	for addr, l := range a.attempts {
		if l.TokensAt(now) >= addressBurst {
			delete(a.attempts, addr)
		}
	}
}

// refuse answers why a request may not go on, as its client reads it.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	why := &refusal{code: http.StatusInternalServerError, text: err.Error()}
	errors.As(err, &why)
	if why.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(why.wait.Seconds())))
	}
	if why.code == http.StatusUnauthorized && !fromBrowser(r) { // who would ask for a name and a password in a window of its own
		w.Header().Set("WWW-Authenticate", `Basic realm="BootTorrent", charset="UTF-8"`)
	}
	writeError(w, r, why.code, why.text)
}

// fromBrowser reports whether a browser sent a request: all have sent this header since 2023 (https://www.w3.org/TR/fetch-metadata/), but
// over plain HTTP only to addresses that they trust, so that others are known by what they take and where they come from.
func fromBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" || wantsHTML(r)
}

// Hash returns the bcrypt hash of a password, as it is written into boottorrent.yaml.
func Hash(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > 72:
		return "", errors.New("the password has more than 72 bytes, of which bcrypt would see only the first")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	return string(hash), err
}
