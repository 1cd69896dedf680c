package room

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Target is what a word means: a group, or one machine.
type Target struct {
	// Group is the name of a group, [catalog.GroupAll] for every machine; empty: it is one machine.
	Group string
	// Machines are those that are known of the group, or the one.
	Machines []Machine
}

// ErrTarget is wrapped by errors about words that mean no target, or several.
var ErrTarget = errors.New("no target")

// targetError is one in words that stand for themselves.
type targetError struct{ text string }

func (e targetError) Error() string        { return e.text }
func (e targetError) Is(target error) bool { return target == ErrTarget }

// Targets finds out what words mean: "all", a MAC address (any, as a machine may be unknown that is to be woken), the name of a group or of a
// machine, or a host name. The error says of all words that mean nothing, or more than one, what there is.
func (r *Room) Targets(words []string) ([]Target, error) {
	var targets []Target
	var wrong []string
	for _, w := range words {
		t, err := r.target(w)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		targets = append(targets, t)
	}
	switch {
	case len(words) == 0:
		return nil, targetError{"name a machine or a group, or say all; " + r.thereIs()}
	case len(wrong) > 0:
		return nil, targetError{strings.Join(wrong, "\n")}
	}
	return targets, nil
}

func (r *Room) target(word string) (Target, error) {
	if word == catalog.GroupAll {
		return Target{Group: word, Machines: r.Machines}, nil
	}
	if mac, err := net.ParseMAC(word); err == nil && len(mac) == 6 {
		m := Machine{MAC: mac.String()}
		if !catalog.IsMAC(m.MAC) {
			return Target{}, targetError{fmt.Sprintf("%s is the address of a multicast group, and no machine's", m.MAC)}
		}
		if i := slices.IndexFunc(r.Machines, func(k Machine) bool { return k.MAC == m.MAC }); i >= 0 {
			m = r.Machines[i]
		}
		return Target{Machines: []Machine{m}}, nil
	}
	named := r.named(word)
	isGroup := slices.Contains(r.Groups, word)
	switch {
	case isGroup && len(named) > 0:
		return Target{}, targetError{fmt.Sprintf("%q is a group and a machine; name the machine by its MAC address, %s, or the machines of the group by theirs", word, named[0].MAC)}
	case isGroup:
		return Target{Group: word, Machines: r.In(word)}, nil
	case len(named) > 1:
		var each []string
		for _, m := range named {
			each = append(each, m.MAC)
		}
		return Target{}, targetError{fmt.Sprintf("%q is the name of %d machines; say which by the MAC address: %s", word, len(named), strings.Join(each, ", "))}
	case len(named) == 0:
		return Target{}, targetError{fmt.Sprintf("%q is no group and no machine; %s", word, r.thereIs())}
	}
	return Target{Machines: named}, nil
}

// named are the machines that the site calls so, or if there is none those with that host name or address; whatever the case of letters.
func (r *Room) named(word string) (named []Machine) {
	for _, same := range []func(*Machine) bool{
		func(m *Machine) bool { return m.Name != "" && strings.EqualFold(m.Name, word) },
		func(m *Machine) bool {
			return m.Hostname != "" && strings.EqualFold(m.Hostname, word) || m.Address != "" && m.Address == word
		},
	} {
		for i := range r.Machines {
			if same(&r.Machines[i]) {
				named = append(named, r.Machines[i])
			}
		}
		if len(named) > 0 {
			return named
		}
	}
	return nil
}

// maxNamed is how many machines are named where a word means none.
const maxNamed = 20

// thereIs says what there is to name.
func (r *Room) thereIs() string {
	groups := "the site has no groups"
	if len(r.Groups) > 0 {
		names := slices.Clone(r.Groups)
		if !slices.Contains(names, catalog.GroupAll) {
			names = append(names, catalog.GroupAll)
		}
		groups = "groups: " + strings.Join(names, ", ")
	}
	var names []string
	for i := range r.Machines {
		if len(names) == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(r.Machines)-maxNamed))
			break
		}
		names = append(names, r.Machines[i].Called())
	}
	if len(names) == 0 {
		return groups + "; no machine is known yet: the site lists none, and none has reported"
	}
	return groups + "; machines: " + strings.Join(names, ", ")
}

// Machines are those of targets, each once.
func Machines(targets []Target) (machines []Machine) {
	seen := map[string]bool{}
	for _, t := range targets {
		for _, m := range t.Machines {
			if !seen[m.MAC] {
				seen[m.MAC] = true
				machines = append(machines, m)
			}
		}
	}
	return machines
}
