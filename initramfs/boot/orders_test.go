package boot

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// ordered is a machine that waits at one of its steps until an order comes.
type ordered struct {
	script
	waits  string // the beginning of what is logged of the step
	orders chan decision.Decision
	order  decision.Decision
	seen   []string // of the observer
}

// hold waits for the end of a step at which the machine waits, once.
func (o *ordered) hold(ctx context.Context) error {
	if o.waits == "" || !strings.HasPrefix(o.log[len(o.log)-1], o.waits) {
		return nil
	}
	o.waits = ""
	go func() { o.orders <- o.order }()
	<-ctx.Done()
	return ctx.Err()
}

func (o *ordered) Choose(ctx context.Context, cat *catalog.Catalog, wait bool) (decision.Decision, error) {
	d, err := o.script.Choose(ctx, cat, wait)
	return d, errors.Join(err, o.hold(ctx))
}

func (o *ordered) Fetch(ctx context.Context, sys catalog.System) error {
	return errors.Join(o.script.Fetch(ctx, sys), o.hold(ctx))
}

func (o *ordered) Launch(ctx context.Context, sys catalog.System) (decision.Decision, error) {
	d, err := o.script.Launch(ctx, sys)
	return d, errors.Join(err, o.hold(ctx))
}

func (o *ordered) Problem(ctx context.Context, t Trouble) decision.Action {
	a := o.script.Problem(ctx, t)
	if o.hold(ctx) != nil {
		return decision.Retry // what a screen says that was ended from outside counts for nothing
	}
	return a
}

func (o *ordered) Shell(ctx context.Context) {
	o.script.Shell(ctx)
	_ = o.hold(ctx)
}

func (o *ordered) Begin(s report.Step) { o.seen = append(o.seen, string(s)) }
func (o *ordered) End(err error) {
	if err != nil {
		o.seen = append(o.seen, err.Error())
	}
}

// An order ends whatever the machine waits for.
func TestOrders(t *testing.T) {
	cat := &catalog.Catalog{Systems: []catalog.System{{Name: "tiny"}, {Name: "big"}}}
	big, tiny := decision.Decision{Action: decision.Start, System: "big"}, decision.Decision{Action: decision.Start, System: "tiny"}
	full := errors.New("memory is full")
	begin := []string{"hardware", "network", "discover", "catalog"}
	for _, c := range []struct {
		name string
		ordered
		want string // after begin, joined by ", "
		ends decision.Action
	}{
		{"the chooser starts a system", ordered{waits: "choose", order: tiny, script: script{choices: []decision.Decision{big}}},
			"choose wait=false, fetch tiny, seed tiny 0, launch tiny", decision.Reboot},
		{"a download is left for the chooser", ordered{waits: "fetch", order: decision.Decision{Action: decision.Choose}, script: script{choices: []decision.Decision{big, tiny}}},
			"choose wait=false, fetch big, choose wait=true, fetch tiny, seed tiny 0, launch tiny", decision.Reboot},
		{"a download is left for another system", ordered{waits: "fetch", order: tiny, script: script{choices: []decision.Decision{big}}},
			"choose wait=false, fetch big, fetch tiny, seed tiny 0, launch tiny", decision.Reboot},
		{"a system beside this program is ended, and the catalog read again",
			ordered{waits: "launch", order: tiny, script: script{choices: []decision.Decision{big}, outcomes: []decision.Decision{{Action: decision.Choose}}}},
			"choose wait=false, fetch big, seed big 0, launch big, network, discover, catalog, fetch tiny, seed tiny 0, launch tiny", decision.Reboot},
		{"a failure that is shown", ordered{waits: "problem", order: tiny, script: script{choices: []decision.Decision{big}, failures: map[string][]error{"fetch": {full}}}},
			`choose wait=false, fetch big, problem fetch "memory is full" attempt=1 choose=true, fetch tiny, seed tiny 0, launch tiny`, decision.Reboot},
		{"a shell", ordered{waits: "shell", order: decision.Decision{Action: decision.PowerOff}, script: script{choices: []decision.Decision{{Action: decision.Shell}}}},
			"choose wait=false, shell", decision.PowerOff},
		{"a restart", ordered{waits: "choose", order: decision.Decision{Action: decision.Reboot}, script: script{choices: []decision.Decision{big}}},
			"choose wait=false", decision.Reboot},
		{"a restart of a failure before there is a catalog",
			ordered{waits: "problem", order: decision.Decision{Action: decision.PowerOff}, script: script{failures: map[string][]error{"hardware": {full}}}},
			`problem hardware "memory is full" attempt=1 choose=false`, decision.PowerOff},
		{"a restart of a system that is mounted", ordered{waits: "launch", order: decision.Decision{Action: decision.Reboot},
			script: script{choices: []decision.Decision{big}, outcomes: []decision.Decision{{Action: decision.Switch}}}},
			"choose wait=false, fetch big, seed big 0, launch big", decision.Reboot},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.cat, c.cancel, c.orders = cat, cancel, make(chan decision.Decision)
			if got := Run(ctx, &c.ordered, &c.ordered, c.orders); got != c.ends {
				t.Errorf("it ended with %v, want %v", got, c.ends)
			}
			want := slices.Clone(begin)
			if strings.HasPrefix(c.want, "problem hardware") {
				want = want[:1]
			}
			want = append(want, strings.Split(c.want, ", ")...)
			if !slices.Equal(c.log, want) {
				t.Errorf("steps:\n\t%s\nwant:\n\t%s", strings.Join(c.log, "\n\t"), strings.Join(want, "\n\t"))
			}
			if slices.Contains(c.seen, context.Canceled.Error()) {
				t.Errorf("a step that an order ended is reported as failed: %v", c.seen)
			}
		})
	}
}
