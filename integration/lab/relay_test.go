package lab

import (
	"bytes"
	"encoding/hex"
	"net"
	"testing"
	"time"
)

func TestTags(t *testing.T) {
	plain, err := hex.DecodeString("ffffffffffff" + "525400000001" + "0800" + "4500001c")
	if err != nil {
		t.Fatal(err)
	}
	tagged, err := hex.DecodeString("ffffffffffff" + "525400000001" + "8100000c" + "0800" + "4500001c")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		change       func([]byte) []byte
		given, wants []byte
	}{
		{"a tag is put on", tagger(12), plain, tagged},
		{"no VLAN, no tag", tagger(0), plain, plain},
		{"a tag is taken off", untagger(12), tagged, plain},
		{"another VLAN's frame", untagger(13), tagged, nil},
		{"a frame without tag", untagger(12), plain, nil},
		{"a short frame", untagger(12), plain[:13], nil},
		{"no VLAN, anything", untagger(0), tagged, tagged},
	} {
		if got := tt.change(tt.given); !bytes.Equal(got, tt.wants) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.wants)
		}
	}
}

// echo sends n datagrams from a to b and back, one after the other, and returns how many came back and the least time
// one took.
func echo(t *testing.T, a, b *Host, n int) (back int, least time.Duration) {
	t.Helper()
	listen := func(h *Host) (conn net.PacketConn) {
		err := h.Do(func() (err error) {
			conn, err = net.ListenPacket("udp4", h.IP().String()+":7")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	at, ours := listen(b), listen(a)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := at.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = at.WriteTo(buf[:n], from)
		}
	}()
	buf := make([]byte, 1500)
	least = time.Hour
	for i := range n {
		began := time.Now()
		payload := []byte{byte(i), byte(i >> 8)}
		if _, err := ours.WriteTo(payload, at.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		wait := 200 * time.Millisecond
		if i == n-1 {
			wait = 2 * time.Second // what is late comes in here
		}
		if err := ours.SetReadDeadline(began.Add(wait)); err != nil {
			t.Fatal(err)
		}
		for {
			got, _, err := ours.ReadFrom(buf)
			if err != nil {
				break
			}
			back++
			if bytes.Equal(buf[:got], payload) {
				least = min(least, time.Since(began))
				if i < n-1 || back == n {
					break
				}
			}
		}
	}
	return back, least
}

func TestDelayingCable(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room, Wire(Cable{Delay: 15 * time.Millisecond}))
	back, least := echo(t, a, b, 5)
	if back != 5 || least < 30*time.Millisecond {
		t.Errorf("%d of 5 came back, the quickest in %s; want 30 ms at least", back, least)
	}
}

func TestLosingCable(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room, Wire(Cable{Loss: 0.2}))
	// Both ways get through with a chance of 0.64, so of 100 some 64 with a deviation of 4.8; ARP is tried again.
	const sent = 100
	if back, _ := echo(t, a, b, sent); back < 40 || back > 88 {
		t.Errorf("%d of %d came back", back, sent)
	}
}

// Speeds hold on a relayed cable, too: nothing in it is slower than 40 Mbit/s.
func TestRelayedSpeed(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room, Wire(Cable{Down: 40e6, Up: 20e6, Delay: time.Millisecond}))
	assertRate(t, "up", 20e6, func() float64 { return throughput(t, a, b) })
	assertRate(t, "down", 40e6, func() float64 { return throughput(t, b, a) })
}

// Behind a tagged port nobody is heard who does not tag.
func TestTaggedPort(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room, Wire(Cable{VLAN: 12}))
	if back, _ := echo(t, a, b, 2); back != 0 {
		t.Errorf("%d untagged datagrams came back", back)
	}
}
