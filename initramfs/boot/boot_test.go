package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// script is a machine whose steps fail as a test says, and which writes down what happened.
type script struct {
	cat      *catalog.Catalog
	choices  []decision.Decision // what the chooser answers, one a call
	failures map[string][]error  // by step, one a call; then nil
	answers  []decision.Action   // what Problem answers, one a call
	outcomes []decision.Decision // what follows the systems that end, one a call; later ones take the machine over
	log      []string
	cancel   context.CancelFunc
}

func (s *script) step(name string) error {
	s.log = append(s.log, name)
	verb, _, _ := strings.Cut(name, " ")
	if f := s.failures[verb]; len(f) > 0 {
		s.failures[verb] = f[1:]
		return f[0]
	}
	return nil
}

func (s *script) Hardware(context.Context) error { return s.step("hardware") }
func (s *script) Network(context.Context) error  { return s.step("network") }
func (s *script) Discover(context.Context) error { return s.step("discover") }
func (s *script) Catalog(context.Context) (*catalog.Catalog, error) {
	return s.cat, s.step("catalog")
}
func (s *script) Choose(_ context.Context, _ *catalog.Catalog, wait bool) (decision.Decision, error) {
	err := s.step(fmt.Sprintf("choose wait=%v", wait))
	if len(s.choices) == 0 {
		return decision.Decision{Action: decision.PowerOff}, err
	}
	c := s.choices[0]
	s.choices = s.choices[1:]
	return c, err
}
func (s *script) Fetch(_ context.Context, sys catalog.System) error {
	return s.step("fetch " + sys.Name)
}
func (s *script) Seed(_ context.Context, sys catalog.System, rule catalog.Seeding) error {
	return s.step(fmt.Sprintf("seed %s %d", sys.Name, rule.Limit))
}
func (s *script) Launch(_ context.Context, sys catalog.System) (decision.Decision, error) {
	if err := s.step("launch " + sys.Name); err != nil {
		return decision.Decision{}, err
	}
	if len(s.outcomes) > 0 {
		c := s.outcomes[0]
		s.outcomes = s.outcomes[1:]
		return c, nil
	}
	s.cancel() // a started system: phase 1 is over
	return decision.Decision{}, errors.New("gone")
}
func (s *script) Problem(_ context.Context, t Trouble) decision.Action {
	s.log = append(s.log, fmt.Sprintf("problem %s %q attempt=%d choose=%v", t.Step, t.Err, t.Attempt, t.CanChoose))
	if len(s.answers) == 0 {
		return decision.PowerOff
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a
}
func (s *script) Shell(context.Context) { s.log = append(s.log, "shell") }

// unseen is an Observer of nothing.
type unseen struct{}

func (unseen) Begin(report.Step) {}
func (unseen) End(error)         {}

func TestRun(t *testing.T) {
	cat := &catalog.Catalog{Defaults: catalog.Defaults{SeedTime: 7}, Systems: []catalog.System{{Name: "tiny"}, {Name: "big"}}}
	tiny, big := decision.Decision{Action: decision.Start, System: "tiny"}, decision.Decision{Action: decision.Start, System: "big"}
	full := errors.New("memory is full")
	begin := []string{"hardware", "network", "discover", "catalog"}
	for _, c := range []struct {
		name string
		script
		want []string // after begin
	}{
		{"straight", script{choices: []decision.Decision{tiny}},
			[]string{"choose wait=false", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"a failed fetch is retried from the catalog, without asking again",
			script{choices: []decision.Decision{tiny}, failures: map[string][]error{"fetch": {full, full}}, answers: []decision.Action{decision.Retry, decision.Retry}},
			[]string{"choose wait=false", "fetch tiny", `problem fetch "memory is full" attempt=1 choose=true`, "catalog", "fetch tiny",
				`problem fetch "memory is full" attempt=2 choose=true`, "catalog", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"another system",
			script{choices: []decision.Decision{big, tiny}, failures: map[string][]error{"fetch": {full}}, answers: []decision.Action{decision.Choose}},
			[]string{"choose wait=false", "fetch big", `problem fetch "memory is full" attempt=1 choose=true`,
				"choose wait=true", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"cancelled by a person",
			script{choices: []decision.Decision{big, tiny}, failures: map[string][]error{"fetch": {ErrCancelled}}},
			[]string{"choose wait=false", "fetch big", "choose wait=true", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"a stale catalog is read again without a word, but only once",
			script{choices: []decision.Decision{tiny}, failures: map[string][]error{"fetch": {ErrStale, ErrStale}}, answers: []decision.Action{decision.PowerOff}},
			[]string{"choose wait=false", "fetch tiny", "catalog", "fetch tiny",
				`problem fetch "the catalog has changed meanwhile" attempt=2 choose=true`}},
		{"a system that this machine refuses, at the end of a chain: the choice is forgotten", script{choices: []decision.Decision{big, tiny}, outcomes: []decision.Decision{tiny},
			failures: map[string][]error{"fetch": {nil, fmt.Errorf("%w: not signed", ErrRefused)}}, answers: []decision.Action{decision.Retry}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big", "network", "discover", "catalog", "fetch tiny",
				`problem fetch "this machine does not start it: not signed" attempt=1 choose=true`, "catalog", "choose wait=false", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"a system that has gone", script{choices: []decision.Decision{{Action: decision.Start, System: "gone"}, tiny}, answers: []decision.Action{decision.Choose}},
			[]string{"choose wait=false", `problem fetch "the catalog does not offer the system gone to this machine (any longer); choose another" attempt=1 choose=true`,
				"choose wait=true", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"a system that has gone, and nobody there: the next chooser counts down", script{choices: []decision.Decision{{Action: decision.Start, System: "gone"}, tiny}, answers: []decision.Action{decision.Retry}},
			[]string{"choose wait=false", `problem fetch "the catalog does not offer the system gone to this machine (any longer); choose another" attempt=1 choose=true`,
				"catalog", "choose wait=false", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"shell, then a system", script{choices: []decision.Decision{{Action: decision.Shell}, tiny}},
			[]string{"choose wait=false", "shell", "choose wait=true", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"shell from a problem, then reboot",
			script{choices: []decision.Decision{tiny}, failures: map[string][]error{"launch": {full}}, answers: []decision.Action{decision.Shell, decision.Reboot}},
			[]string{"choose wait=false", "fetch tiny", "seed tiny 7", "launch tiny", `problem launch "memory is full" attempt=1 choose=true`,
				"shell", `problem launch "memory is full" attempt=1 choose=true`}},
		{"a chain", script{choices: []decision.Decision{big}, outcomes: []decision.Decision{tiny}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big", "network", "discover", "catalog",
				"fetch tiny", "seed tiny 7", "launch tiny"}},
		{"back to the menu after a system", script{choices: []decision.Decision{big, tiny}, outcomes: []decision.Decision{{Action: decision.Choose}}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big", "network", "discover", "catalog", "choose wait=true",
				"fetch tiny", "seed tiny 7", "launch tiny"}},
		{"reboot after a system", script{choices: []decision.Decision{big}, outcomes: []decision.Decision{{Action: decision.Reboot}}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big"}},
		{"a system that init becomes", script{choices: []decision.Decision{big}, outcomes: []decision.Decision{{Action: decision.Switch}}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big"}},
		{"a failure in a chain is retried there", script{choices: []decision.Decision{big}, outcomes: []decision.Decision{tiny},
			failures: map[string][]error{"seed": {nil, full}}, answers: []decision.Action{decision.Retry}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big", "network", "discover", "catalog", "fetch tiny", "seed tiny 7",
				`problem seed "memory is full" attempt=1 choose=true`, "catalog", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"a chain to a system that has gone", script{choices: []decision.Decision{big, tiny}, outcomes: []decision.Decision{{Action: decision.Start, System: "gone"}}, answers: []decision.Action{decision.Choose}},
			[]string{"choose wait=false", "fetch big", "seed big 7", "launch big", "network", "discover", "catalog",
				`problem fetch "the catalog does not offer the system gone to this machine (any longer); choose another" attempt=1 choose=true`,
				"choose wait=true", "fetch tiny", "seed tiny 7", "launch tiny"}},
		{"power off", script{choices: []decision.Decision{{Action: decision.PowerOff}}}, []string{"choose wait=false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.cat, c.cancel = cat, cancel
			outcomes := c.outcomes
			ended := Run(ctx, &c.script, unseen{}, nil)
			if switches := len(outcomes) > 0 && outcomes[0].Action == decision.Switch; switches != (ended == decision.Switch) {
				t.Errorf("it ended with %v", ended)
			}
			want := append(slices.Clone(begin), c.want...)
			if !slices.Equal(c.log, want) {
				t.Errorf("steps:\n\t%s\nwant:\n\t%s", strings.Join(c.log, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
}

func TestEarlyTrouble(t *testing.T) {
	dark := errors.New("dark")
	s := &script{failures: map[string][]error{"network": {dark}, "catalog": {dark}}, answers: []decision.Action{decision.Choose, decision.Retry, decision.PowerOff}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.cancel = cancel
	if got := Run(ctx, s, unseen{}, nil); got != decision.PowerOff {
		t.Errorf("ended with %v, want PowerOff", got)
	}
	// There is nothing to choose from before the first catalog: Choose is asked again. A catalog that can't be had
	// begins again with the network.
	want := []string{"hardware", "network",
		`problem network "dark" attempt=1 choose=false`, `problem network "dark" attempt=1 choose=false`,
		"network", "discover", "catalog", `problem catalog "dark" attempt=1 choose=false`}
	if !slices.Equal(s.log, want) {
		t.Errorf("steps:\n\t%s\nwant:\n\t%s", strings.Join(s.log, "\n\t"), strings.Join(want, "\n\t"))
	}
}
