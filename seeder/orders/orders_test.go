package orders

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/room"
)

func mac(n string) string { return "52:54:00:00:00:" + n }

// desk gives orders; it must be made within a synctest bubble, whose clock it goes by.
type desk struct {
	*Orders
	t      *testing.T
	public minisign.PublicKey
	key    error
	last   uint64
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, last: 1000}
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d.public = public
	cat := &catalog.Catalog{Systems: []catalog.System{
		{Name: "live", Launch: catalog.Launch{Method: catalog.MethodKexec}}, {Name: "debian", Launch: catalog.Launch{Method: catalog.MethodRoot}},
	}}
	d.Orders = New(Config{
		Key: func() (minisign.PrivateKey, error) { return secret, d.key }, Counter: func() (uint64, error) { d.last++; return d.last, nil },
		Catalog: func() *catalog.Catalog { return cat }, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	return d
}

// machine is one that reported a moment ago.
func machine(n string, step report.Step, change ...func(*report.Node)) room.Machine {
	node := &report.Node{Report: report.Report{MAC: mac(n), Boot: "boot" + n, Step: step, State: report.Running}, Seen: time.Now()}
	for _, c := range change {
		c(node)
	}
	return room.Machine{MAC: mac(n), Name: "desk-" + n, Node: node}
}

func started(system string) func(*report.Node) {
	return func(n *report.Node) { n.State, n.System = report.Done, system }
}

func (d *desk) give(action order.Action, machines ...room.Machine) Batch {
	d.t.Helper()
	b, err := d.Give(action, "", machines, time.Minute)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// result is what became of an order at its only machine.
func (d *desk) result(id uint64) Result {
	d.t.Helper()
	b, ok := d.Get(d.t.Context(), id, -1)
	if !ok || len(b.Nodes) != 1 {
		d.t.Fatalf("%+v, %v", b, ok)
	}
	return b.Nodes[0]
}

func TestOrderIsHandedOverUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		m := machine("01", report.Choose)
		b := d.give(order.Reboot, m)
		if b.Over() || b.Nodes[0].State != Waiting {
			t.Errorf("given: %+v", b)
		}
		rep := m.Node.Report
		if d.Answer(report.Report{MAC: mac("02"), Boot: "boot02"}) != nil {
			t.Error("another node gets it")
		}
		for range 2 { // the first answer may be lost
			got, err := order.Open(d.public, d.Answer(rep))
			if want := (order.Order{MAC: mac("01"), Boot: "boot01", Counter: b.ID, Action: order.Reboot}); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
		}
		rep.Order = &report.Order{Counter: b.ID, State: report.OrderTaken, Text: "restarting"}
		for range 2 {
			if d.Answer(rep) != nil {
				t.Error("it is handed over once more")
			}
		}
		if r := d.result(b.ID); r.State != Taken || r.Text != "restarting" || r.Name != "desk-01" {
			t.Errorf("result %+v", r)
		}
		// The next order's counter is higher, and an answer to the first is none to it.
		c := d.give(order.PowerOff, m)
		if c.ID <= b.ID {
			t.Errorf("counters %d, %d", b.ID, c.ID)
		}
		if got, err := order.Open(d.public, d.Answer(rep)); err != nil || got.Counter != c.ID {
			t.Errorf("%+v, %v", got, err)
		}
		rep.Order = &report.Order{Counter: c.ID, State: report.OrderRefused, Text: "no"}
		d.Answer(rep)
		if r := d.result(c.ID); r.State != Refused || r.Text != "no" {
			t.Errorf("result %+v", r)
		}
	})
}

func TestWhatIsOutOfReachIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		silent := func(n *report.Node) { n.Seen = time.Now().Add(-report.Silence - time.Second) }
		running := func(n *report.Node) { n.System = "debian" }
		for _, c := range []struct {
			name   string
			action order.Action
			m      room.Machine
			state  State
			text   string
		}{
			{"one that never reported", order.Reboot, room.Machine{MAC: mac("01")}, Unreachable, "it has not reported"},
			{"one that fell silent", order.Reboot, machine("01", report.Choose, silent), Unreachable, "it reported last at "},
			{"one under a foreign kernel", order.Reboot, machine("01", report.Launch, started("live")), Unreachable, "it has started live"},
			{"one whose root system begins", order.Reboot, machine("01", report.Launch, started("debian")), Waiting, ""},
			{"one whose root system runs", order.PowerOff, machine("01", report.Give, running), Waiting, ""},
			{"another system where one runs", order.Choose, machine("01", report.Give, running), Refused, "debian runs"},
			{"another system while one is fetched", order.Choose, machine("01", report.Fetch), Waiting, ""},
		} {
			b := d.give(c.action, c.m)
			if r := b.Nodes[0]; r.State != c.state || !strings.HasPrefix(r.Text, c.text) || (r.Text == "") != (c.text == "") {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
	})
}

// An order is for one boot, and for a while: what was dropped is never handed over.
func TestOrdersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		m := machine("01", report.Choose)
		b := d.give(order.Reboot, m)
		again := m.Node.Report
		again.Boot = "another"
		if d.Answer(again) != nil || d.result(b.ID).State != Refused || !strings.Contains(d.result(b.ID).Text, "anew") {
			t.Errorf("of another boot: %+v", d.result(b.ID))
		}
		b = d.give(order.Reboot, m)
		time.Sleep(time.Minute)
		if d.Answer(m.Node.Report) != nil || d.result(b.ID).State != Unreachable || !strings.Contains(d.result(b.ID).Text, "within 1m0s") {
			t.Errorf("after its time: %+v", d.result(b.ID))
		}
		b = d.give(order.Reboot, m)
		c := d.give(order.Choose, m)
		if got := d.result(b.ID); got.State != Refused || !strings.Contains(got.Text, "another order") || d.result(c.ID).State != Waiting {
			t.Errorf("replaced: %+v", got)
		}
		if d.key = errors.New("no key"); d.Answer(m.Node.Report) != nil || !strings.Contains(d.result(c.ID).Text, "no key") {
			t.Errorf("without a key: %+v", d.result(c.ID))
		}
		if _, err := d.Give(order.Reboot, "", []room.Machine{m}, 0); err == nil {
			t.Error("an order without a key")
		}
	})
}

// Who asks waits for a change, and for no longer than the order does.
func TestGetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		m, n := machine("01", report.Choose), machine("02", report.Choose)
		b := d.give(order.Reboot, m, n)
		go func() {
			time.Sleep(10 * time.Second)
			rep := m.Node.Report
			rep.Order = &report.Order{Counter: b.ID, State: report.OrderTaken}
			d.Answer(rep)
		}()
		began := time.Now()
		got, _ := d.Get(t.Context(), b.ID, 1)
		if time.Since(began) != 10*time.Second || got.Nodes[0].State != Taken || got.Nodes[1].State != Waiting {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if got, _ := d.Get(ctx, b.ID, 0); time.Since(began) != 15*time.Second || got.Over() {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		if got, _ := d.Get(t.Context(), b.ID, 0); time.Since(began) != time.Minute || !got.Over() || got.Nodes[1].State != Unreachable {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		if _, ok := d.Get(t.Context(), 7, 0); ok {
			t.Error("there is an order that nobody gave")
		}
	})
}

func TestOrdersAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		first := d.give(order.Reboot, machine("01", report.Choose)) // it waits
		for range 2 * maxBatches {
			d.give(order.Reboot, room.Machine{MAC: mac("02")})
		}
		if list := d.List(); len(list) != maxBatches || list[len(list)-1].ID != first.ID || list[0].ID != d.last {
			t.Errorf("%d are remembered", len(list))
		}
	})
}
