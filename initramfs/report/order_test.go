package report

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
)

// seeder answers reports with what it has to say, and keeps them.
type seeder struct {
	answer []byte
	help   string
	got    []report.Report
}

func (s *seeder) Exchange(_ context.Context, r report.Report) (report.Answer, error) {
	s.got = append(s.got, r)
	return report.Answer{Order: s.answer, Help: s.help}, nil
}

// An order is carried out once, when the seeder has heard that it is, and what is forged, for another machine or boot, or older is not.
func TestObedient(t *testing.T) {
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := New(time.Now)
	r.Set(func(c *report.Report) { c.MAC, c.Boot = "52:54:00:00:00:01", "b00t" })
	sign := func(key minisign.PrivateKey, o order.Order) []byte {
		signed, err := order.Sign(key, o)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	good := order.Order{MAC: "52:54:00:00:00:01", Boot: "b00t", Counter: 10, Action: order.Reboot}
	with := func(change func(*order.Order)) order.Order { o := good; change(&o); return o }
	s := &seeder{}
	var done, refused int
	var heard *report.Order
	o := &Obedient{
		Seeder: func() Exchanger { return s }, Reporter: r, Key: public, Refused: func(error) { refused++ },
		Decide: func(_ context.Context, got order.Order) (string, func(), error) {
			if got.Action == order.Choose {
				return "", nil, errors.New("no chooser")
			}
			return "restarting", func() { done++; heard = s.got[len(s.got)-1].Order }, nil
		},
	}
	post := func(name string, answer []byte, wantDone, wantRefused int) {
		t.Helper()
		s.answer = answer
		if err := r.Post(t.Context(), o); err != nil || done != wantDone || refused != wantRefused {
			t.Errorf("%s: %v, done %d times, refused %d; want %d, %d", name, err, done, refused, wantDone, wantRefused)
		}
	}
	post("nothing", nil, 0, 0)
	s.help = "an image"
	post("an ask for help that nobody takes", nil, 0, 0)
	var asked string
	o.Help = func(value string) { asked = value }
	if post("an ask for help", nil, 0, 0); asked != "an image" {
		t.Errorf("asked for %q", asked)
	}
	s.help, asked = "", "nothing"
	if post("none", nil, 0, 0); asked != "nothing" {
		t.Errorf("asked for %q", asked)
	}
	post("an order of another key's", sign(foreign, good), 0, 1)
	post("for another boot", sign(secret, with(func(o *order.Order) { o.Boot = "another" })), 0, 2)
	post("for another machine", sign(secret, with(func(o *order.Order) { o.MAC = "52:54:00:00:00:02" })), 0, 3)
	if r.Snapshot().Order != nil {
		t.Errorf("what was refused is in the report: %+v", r.Snapshot().Order)
	}
	post("a good one", sign(secret, good), 1, 3)
	if heard == nil || *heard != (report.Order{Counter: 10, State: report.OrderTaken, Text: "restarting"}) {
		t.Errorf("when it was done the seeder had heard %+v", heard)
	}
	post("the same once more", sign(secret, good), 1, 3)
	post("an older one", sign(secret, with(func(o *order.Order) { o.Counter = 9 })), 1, 4)
	post("one that can't be done", sign(secret, with(func(o *order.Order) { o.Counter, o.Action = 11, order.Choose })), 1, 4)
	if got := r.Snapshot().Order; *got != (report.Order{Counter: 11, State: report.OrderRefused, Text: "no chooser"}) {
		t.Errorf("it is reported as %+v", got)
	}
	// Another program of the same boot goes on from the report, and its counter.
	o.Reporter = Continue(r.Snapshot(), time.Now)
	r = o.Reporter
	post("an old one, to the next program", sign(secret, good), 1, 5)
}
