// Package lsd speaks BitTorrent's local service discovery (BEP 14) over IPv4: a peer multicasts which torrent it takes part in, and
// who has to do with that connects to it.
package lsd

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Group is where searches go (BEP 14).
var Group = netip.MustParseAddrPort("239.192.152.143:6771")

const (
	// MaxMessage is the most bytes of a search (BEP 14).
	MaxMessage = 1400
	// MaxInfoHashes is how many torrents a search names: as many as fit.
	MaxInfoHashes = 24
	// maxCookie is how many bytes of a cookie are taken.
	maxCookie = 64
)

// Search is a peer's word that it takes part in torrents.
type Search struct {
	// Port is where it takes connections (TCP), at the address that the search came from.
	Port uint16
	// InfoHashes are the torrents, at most MaxInfoHashes.
	InfoHashes []catalog.InfoHash
	// Cookie is by what it knows its own searches; it may be empty.
	Cookie string
}

// Encode is the datagram.
func (s Search) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "BT-SEARCH * HTTP/1.1\r\nHost: %s\r\nPort: %d\r\n", Group, s.Port)
	for _, h := range s.InfoHashes {
		fmt.Fprintf(&b, "Infohash: %s\r\n", h)
	}
	if s.Cookie != "" {
		fmt.Fprintf(&b, "cookie: %s\r\n", s.Cookie)
	}
	b.WriteString("\r\n\r\n")
	return b.Bytes()
}

// Parse reads a datagram. It has the form of an HTTP request (RFC 9112), of which headers that are not known are ignored.
func Parse(datagram []byte) (s Search, err error) {
	if len(datagram) > MaxMessage {
		return s, fmt.Errorf("a search of %d bytes; there are at most %d", len(datagram), MaxMessage)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(datagram)))
	if err != nil {
		return s, fmt.Errorf("no search: %w", err)
	}
	if r.Method != "BT-SEARCH" || r.RequestURI != "*" || r.ProtoMajor != 1 {
		return s, fmt.Errorf("no search, but %q %q", r.Method, r.RequestURI)
	}
	if r.Host != Group.String() {
		return s, fmt.Errorf("a search for the host %q, want %s", r.Host, Group)
	}
	port, err := strconv.ParseUint(r.Header.Get("Port"), 10, 16)
	if err != nil || port == 0 {
		return s, fmt.Errorf("a search with the port %q", r.Header.Get("Port"))
	}
	s.Port = uint16(port)
	if s.Cookie = r.Header.Get("Cookie"); len(s.Cookie) > maxCookie {
		return s, fmt.Errorf("a search with a cookie of %d bytes", len(s.Cookie))
	}
	s.InfoHashes, err = infoHashes(r.Header.Values("Infohash"))
	return s, err
}

func infoHashes(values []string) (all []catalog.InfoHash, err error) {
	if n := len(values); n == 0 || n > MaxInfoHashes {
		return nil, fmt.Errorf("a search with %d infohashes", n)
	}
	for _, v := range values {
		var h catalog.InfoHash
		if len(v) != 2*len(h) {
			return nil, errors.New("a search with an infohash that is none")
		}
		if _, err := hex.Decode(h[:], []byte(v)); err != nil {
			return nil, fmt.Errorf("a search with an infohash that is none: %w", err)
		}
		all = append(all, h)
	}
	return all, nil
}
