package order

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func keys(t *testing.T) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

var reboot = Order{MAC: "52:54:00:00:00:01", Boot: "b00t", Counter: 1800000000, Action: Choose, System: "debian"}

func TestSignAndOpen(t *testing.T) {
	public, secret := keys(t)
	signed, err := Sign(secret, reboot)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(public, signed)
	if err != nil || got != reboot {
		t.Fatalf("%+v, %v", got, err)
	}
}

// Whatever is not an order that this key has signed is refused: one of another key, one that was changed, the signature of something
// else, and an order's signature is none of a catalog.
func TestForged(t *testing.T) {
	public, secret := keys(t)
	_, other := keys(t)
	good, _ := Sign(secret, reboot)
	foreign, _ := Sign(other, reboot)
	document, _ := json.Marshal(reboot)
	asCatalog, _ := json.Marshal(answer{string(document), string(catalog.Sign(secret, document))})
	comment := strings.Replace(string(catalog.Sign(secret, document)), "timestamp:", trusted+" timestamp:", 1)
	recommented, _ := json.Marshal(answer{string(document), comment})
	for name, signed := range map[string][]byte{
		"another key":                   foreign,
		"another machine":               bytes.Replace(good, []byte(":01"), []byte(":02"), 1),
		"another action":                bytes.Replace(good, []byte("choose"), []byte("reboot"), 1),
		"another counter":               bytes.Replace(good, []byte("1800000000"), []byte("1900000000"), 1),
		"a catalog's signature":         asCatalog,
		"a comment that was changed":    recommented,
		"no signature":                  []byte(`{"order":"{}"}`),
		"nothing":                       nil,
		"no JSON":                       []byte("reboot, please"),
		"longer than any that is taken": append(bytes.Clone(good), bytes.Repeat([]byte(" "), MaxAnswer)...),
	} {
		if bytes.Equal(signed, good) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if got, err := Open(public, signed); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	var a answer
	if err := json.Unmarshal(good, &a); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Open(public, []byte(a.Order), []byte(a.Signature)); err == nil {
		t.Error("an order passes for a catalog")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name      string
		mac, boot string
		last      uint64
		isNew     bool
		refused   string
	}{
		{"the first one", reboot.MAC, "b00t", 0, true, ""},
		{"a later one", reboot.MAC, "b00t", reboot.Counter - 1, true, ""},
		{"the same once more", reboot.MAC, "b00t", reboot.Counter, false, ""},
		{"an older one", reboot.MAC, "b00t", reboot.Counter + 1, false, "that of one before was 1800000001"},
		{"another boot", reboot.MAC, "b002", 0, false, "another boot"},
		{"another machine", "52:54:00:00:00:02", "b00t", 0, false, "for the machine 52:54:00:00:00:01"},
	} {
		isNew, err := reboot.Check(c.mac, c.boot, c.last)
		if isNew != c.isNew || (err == nil) != (c.refused == "") || err != nil && (!errors.Is(err, ErrNotOurs) || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, %v", c.name, isNew, err)
		}
	}
	if _, err := (Order{MAC: reboot.MAC, Boot: "b00t", Counter: catalog.MaxCounter + 1}).Check(reboot.MAC, "b00t", 0); err == nil {
		t.Error("a counter after which there can be none is taken")
	}
}

// Nodes read what anybody in the network may send them.
func FuzzOpen(f *testing.F) {
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	good, _ := Sign(secret, reboot)
	f.Add(good)
	f.Add([]byte(`{"order":"{}","signature":"untrusted comment: x\nRUQ=\ntrusted comment: a\nAA=="}`))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if o, err := Open(public, signed); err == nil && o != reboot {
			t.Errorf("%q passes as %+v", signed, o)
		}
	})
}
