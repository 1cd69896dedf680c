package report

import (
	"context"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Exchanger sends a report and returns what the seeder answers; client.Client is one.
type Exchanger interface {
	Exchange(ctx context.Context, r report.Report) (report.Answer, error)
}

// Obedient is a Poster that takes orders, which come as the answers to reports.
type Obedient struct {
	// Seeder returns whom to send to now.
	Seeder   func() Exchanger
	Reporter *Reporter
	// Key is the site's.
	Key minisign.PublicKey
	// Decide says in words what the node does about an order that is new and genuine, or by an error why it doesn't, and returns what does
	// it. That is called when the seeder has heard of it. ctx is that of the reports: it outlives the order.
	Decide func(ctx context.Context, o order.Order) (text string, do func(), err error)
	// Refused is told why an order is not taken.
	Refused func(error)
	// Help is told what an answer says of giving phase 1 away (report.HelpHeader), where it says something. It returns at once.
	Help func(asked string)
}

// Report implements Poster.
func (o *Obedient) Report(ctx context.Context, r report.Report) error {
	answer, err := o.Seeder().Exchange(ctx, r)
	if err != nil {
		return err
	}
	if answer.Help != "" && o.Help != nil {
		o.Help(answer.Help)
	}
	if len(answer.Order) > 0 {
		o.take(ctx, answer.Order)
	}
	return nil
}

// take carries out a signed order.
func (o *Obedient) take(ctx context.Context, signed []byte) {
	now := o.Reporter.Snapshot()
	var last uint64
	if now.Order != nil {
		last = now.Order.Counter
	}
	got, err := order.Open(o.Key, signed)
	isNew := false
	if err == nil {
		isNew, err = got.Check(now.MAC, now.Boot, last)
	}
	if err != nil {
		o.Refused(err) // whoever sent this learns nothing
		return
	}
	if !isNew {
		return
	}
	result := report.Order{Counter: got.Counter, State: report.OrderTaken}
	text, do, err := o.Decide(ctx, got)
	if err != nil {
		text, do, result.State = err.Error(), func() {}, report.OrderRefused
	}
	result.Text = report.Clip(text, report.MaxError)
	o.Reporter.Set(func(r *report.Report) { r.Order = &result })
	// What is done may end this program: it is said before. A seeder that doesn't hear it asks the machine's next boot in vain, and says so.
	_, _ = o.Seeder().Exchange(ctx, o.Reporter.Snapshot())
	do()
}
