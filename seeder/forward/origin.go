package forward

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/seeder/admit"
)

// Header is the header of what a mirror hands on. Its value is an [Origin] as text.
const Header = "Boottorrent-Node"

// maxOrigin is the most bytes of an Origin as text, maxAge the most that a mirror keeps something.
const (
	maxOrigin = 300
	maxAge    = 7 * 24 * time.Hour
)

// Origin is whom something that a mirror handed on is from.
type Origin struct {
	// Node is the node's own address.
	Node netip.Addr
	// Via is the base URL of the mirror that the node spoke to, as it is reached by whom was told of it; empty: that is who hands it on.
	Via string
	// Age is how long ago the node said it.
	Age time.Duration
	// Doubt says that it came to the mirror from the address of another machine that the site lists, or that Node is an address in a network of
	// whom it was handed on to: anybody can make himself a mirror, and name a machine there that never spoke to him. It is shown, and nothing
	// is done for it.
	Doubt bool
	// By is the address of the mirror that handed it on. It is not sent: it is where the request comes from.
	By netip.Addr
}

// String is an Origin as it is sent: "10.1.0.7; age=3.250; via=http://10.1.0.1:8080".
func (o Origin) String() string {
	text := fmt.Sprintf("%s; age=%.3f", o.Node, o.Age.Seconds())
	if o.Via != "" {
		text += "; via=" + o.Via
	}
	if o.Doubt {
		text += "; doubt"
	}
	return text
}

// ParseOrigin reads an Origin. Words that it doesn't know are those of later releases.
func ParseOrigin(text string) (o Origin, err error) {
	if len(text) > maxOrigin {
		return o, fmt.Errorf("whom it is from has %d bytes, at most %d are read", len(text), maxOrigin)
	}
	node, rest, _ := strings.Cut(text, ";")
	if o.Node, err = netip.ParseAddr(strings.TrimSpace(node)); err != nil {
		return Origin{}, fmt.Errorf("whom it is from: %w", err)
	}
	o.Node = o.Node.Unmap().WithZone("")
	for word := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		switch name {
		case "age":
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil || !(seconds >= 0) {
				return Origin{}, fmt.Errorf("whom it is from: age=%q is no number of seconds", value)
			}
			o.Age = time.Duration(min(seconds, maxAge.Seconds()) * float64(time.Second)).Round(time.Millisecond)
		case "via":
			if !plain(value) {
				return Origin{}, fmt.Errorf("whom it is from: via=%q is no base URL", value)
			}
			o.Via = value
		case "doubt":
			o.Doubt = true
		}
	}
	return o, nil
}

// plain reports whether a text can be the base URL of a seeder that is named by its address.
func plain(text string) bool {
	host, ok := strings.CutPrefix(text, "http://")
	_, err := netip.ParseAddrPort(host)
	return ok && err == nil
}

type originKey struct{}

// Handler is next for requests that nodes make and mirrors hand on. mirror returns the base URL of the mirror that has made a request; empty: no
// mirror that is known has, unless that is undecided yet: then it has to come again (503). What a mirror hands on counts as a request of the
// node's own address; of anybody else [Header] counts for nothing. own reports whether an address is in one of this seeder's own networks.
func Handler(mirror func(*http.Request) (base string, undecided bool), own func(netip.Addr) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get(Header)
		if text == "" {
			next.ServeHTTP(w, r)
			return
		}
		base, undecided := mirror(r)
		if undecided {
			admit.ComeAgain(w, "it is not known yet whether you are a mirror of this site: ask for the catalog, and come again")
			return
		}
		if base == "" {
			next.ServeHTTP(w, r)
			return
		}
		o, err := ParseOrigin(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		o.Doubt = o.Doubt || own(o.Node)
		if o.Via == "" {
			o.Via = base
		}
		if by, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			o.By = by.Addr().Unmap()
		}
		r = r.WithContext(context.WithValue(r.Context(), originKey{}, o))
		r.RemoteAddr = netip.AddrPortFrom(o.Node, 0).String()
		next.ServeHTTP(w, r)
	})
}

// From is whom a request is from that a mirror handed on, of which Handler knows; false: a node made it.
func From(r *http.Request) (Origin, bool) {
	o, ok := r.Context().Value(originKey{}).(Origin)
	return o, ok
}
