// Package order is what the seeder tells a single node to do: restart, switch off, start a system, show the chooser. In go an Order and
// the site's key, out comes what a node gets as the answer to its report (POST /api/report); the node takes it only if the site's key
// made it, for this machine and this boot, and no later one was taken before.
package order

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Action is what to do.
type Action string

// The actions.
const (
	Reboot   Action = "reboot"
	PowerOff Action = "poweroff"
	// Choose starts Order.System, or shows the chooser if that is empty.
	Choose Action = "choose"
)

// Actions lists all of them.
var Actions = []Action{Reboot, PowerOff, Choose}

// Order is for one boot of one machine.
type Order struct {
	// MAC and Boot are those of the node's reports.
	MAC  string `json:"mac"`
	Boot string `json:"boot"`
	// Counter is above that of every order before. The seeder numbers with it all that the site's key signs, see seeder/counter.
	Counter uint64 `json:"counter"`
	Action  Action `json:"action"`
	// System is the name of the system that Choose starts.
	System string `json:"system,omitempty"`
}

// MaxAnswer is the most bytes of a signed order as JSON. A real one has some 700.
const MaxAnswer = 4 << 10

// trusted is the beginning of the trusted comment of an order's signature, which tells it from those of catalogs and boot manifests.
const trusted = "a BootTorrent order"

// ErrForged says that the site's key did not sign something as an order.
var ErrForged = errors.New("the order is not signed by this site's key")

// answer is an order as it is sent.
type answer struct {
	// Order is the document, as text: the signature is of exactly these bytes.
	Order string `json:"order"`
	// Signature is a minisign signature file.
	Signature string `json:"signature"`
}

// Sign returns a signed order as JSON.
func Sign(key minisign.PrivateKey, o Order) ([]byte, error) {
	document, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer{string(document), string(minisign.SignWithComments(key, document, trusted, "signature of "+trusted))})
}

// Open returns an order that the key has signed; the error wraps ErrForged for anything else.
func Open(key minisign.PublicKey, signed []byte) (o Order, err error) {
	var a answer
	if len(signed) > MaxAnswer {
		return o, fmt.Errorf("%w: it has %d bytes, at most %d are taken", ErrForged, len(signed), MaxAnswer)
	}
	if err := json.Unmarshal(signed, &a); err != nil {
		return o, fmt.Errorf("%w: %w", ErrForged, err)
	}
	var sig minisign.Signature
	if err := sig.UnmarshalText([]byte(a.Signature)); err != nil {
		return o, fmt.Errorf("%w: %w", ErrForged, err)
	}
	// Verify is of the document and of the trusted comment.
	if sig.TrustedComment != trusted || !minisign.Verify(key, []byte(a.Order), []byte(a.Signature)) {
		return o, ErrForged
	}
	d := json.NewDecoder(strings.NewReader(a.Order))
	if err := d.Decode(&o); err != nil {
		return o, fmt.Errorf("the order: %w", err)
	}
	return o, nil
}

// ErrNotOurs says that an order is for another machine or another boot, or older than one that was taken.
var ErrNotOurs = errors.New("the order is refused")

// Check reports why a node must not carry out an order: mac and boot are the node's, last is the counter of the order that it took last.
// The same order once more is no error, and is not new: the seeder has not heard yet that it was taken.
func (o Order) Check(mac, boot string, last uint64) (isNew bool, err error) {
	switch {
	case o.MAC != mac:
		return false, fmt.Errorf("%w: it is for the machine %s", ErrNotOurs, o.MAC)
	case o.Boot != boot:
		return false, fmt.Errorf("%w: it is for another boot of this machine (%s)", ErrNotOurs, o.Boot)
	case o.Counter > catalog.MaxCounter || o.Counter == 0:
		return false, fmt.Errorf("%w: its counter is %d, want 1 to %d", ErrNotOurs, o.Counter, int64(catalog.MaxCounter))
	case o.Counter < last:
		return false, fmt.Errorf("%w: it has the counter %d, and that of one before was %d", ErrNotOurs, o.Counter, last)
	}
	return o.Counter > last, nil
}
