package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/forward"
)

// maxBody is of a wish, in bytes.
const maxBody = 1 << 10

// Handler takes a catalog.LocalRequest as JSON by POST: 204 if it was taken, 400 if it can't be read, 403 with the reason if it isn't the
// machine's own, or the machine is one of which a mirror can't say it.
func (b *Book) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "a machine says by POST that it starts its own disk", http.StatusMethodNotAllowed)
			return
		}
		var wish catalog.LocalRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&wish); err != nil {
			http.Error(w, fmt.Sprintf("that can't be read: %v", err), http.StatusBadRequest)
			return
		}
		mac, err := net.ParseMAC(wish.MAC)
		if err != nil || len(mac) != 6 {
			http.Error(w, fmt.Sprintf("%.40q is no MAC address", wish.MAC), http.StatusBadRequest)
			return
		}
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		o, mirrored := forward.From(r)
		if o.Doubt {
			http.Error(w, fmt.Sprintf("a mirror can't say that of the machine at %s: it is in this seeder's own network, or somebody else spoke for it", o.Node), http.StatusForbidden)
			return
		}
		if wish.Sent || mirrored && o.Age > wishTime {
			switch {
			case !mirrored:
				http.Error(w, "only a mirror says that a machine was sent to its disk", http.StatusForbidden)
				return
			case wish.Sent:
				b.Sent(mac.String(), wish.Next, o.Node)
			}
			w.WriteHeader(http.StatusNoContent) // a wish that a mirror has kept for too long is no more
			return
		}
		if err := b.Wish(mac.String(), from.Addr().Unmap()); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// Neighbour is the MAC address that this machine knows an address by on its own networks (proc(5), /proc/net/arp); empty: none.
func Neighbour(addr netip.Addr) string { return neighbour("/proc/net/arp", addr) }

func neighbour(file string, addr netip.Addr) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// IP address, HW type, Flags (2: complete), HW address, Mask, Device
		words := strings.Fields(lines.Text())
		if len(words) < 4 || words[0] != addr.String() || words[2] == "0x0" {
			continue
		}
		if mac, err := net.ParseMAC(words[3]); err == nil {
			return mac.String()
		}
	}
	return ""
}
