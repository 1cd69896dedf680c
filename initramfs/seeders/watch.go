package seeders

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// nextTime is how long the others may take to show that they serve, stagger the pause between asking one and the one after it: those that come
	// first are preferred, and a dead one among them costs no more than that.
	nextTime = 15 * time.Second
	stagger  = 250 * time.Millisecond
	// noteTime is for how long screens say that the node has gone on with another seeder.
	noteTime = 30 * time.Second
)

// Watch learns the others from the own seeder, and goes on with one of them when the own one is dead, until ctx ends.
func (s *Seeders) Watch(ctx context.Context) {
	s.watching(true)
	defer s.watching(false)
	listed := "" // whose list was read last
	for ctx.Err() == nil {
		due := time.NewTimer(s.Refresh/2 + rand.N(s.Refresh))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-due.C:
			listed = ""
		}
		due.Stop()
		if s.Silent() {
			s.judge(ctx)
		}
		if base := s.Base(); base != listed && base != "" {
			listed = base
			s.readList(ctx)
		}
	}
}

func (s *Seeders) watching(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = yes
	s.verdict()
}

// verdict ends the waiting of those who want to know how it stands with the own seeder.
func (s *Seeders) verdict() {
	close(s.judged)
	s.judged = make(chan struct{})
}

// readList reads the own seeder's list. One of an older release has none.
func (s *Seeders) readList(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.times.list)
	defer cancel()
	var from *client.Client
	var list catalog.SeederList
	err := s.Ask(ctx, func(ctx context.Context, c *client.Client) (err error) {
		from = c
		list, err = c.Seeders(ctx)
		return err
	})
	if err == nil && from == s.Client() {
		s.Learn(list.Seeders)
	}
}

// judge asks the own seeder until it answers, or has been silent for too long and the node goes on with another.
func (s *Seeders) judge(ctx context.Context) {
	alone := false // that nobody else answers was said
	for ctx.Err() == nil {
		now, since, left := s.doubt()
		if since.IsZero() {
			break
		}
		if left <= 0 {
			why := fmt.Sprintf("has been silent for %.0f s", time.Since(since).Seconds())
			if s.moveOn(ctx, now, why, s.Silent, &alone) {
				break
			}
			s.mu.Lock()
			s.verdict()
			s.mu.Unlock()
			sleep(ctx, s.times.retry)
			left = 0
		}
		limited, cancel := context.WithTimeout(ctx, max(left, s.times.probe))
		_ = s.Ask(limited, func(ctx context.Context, c *client.Client) error { return c.Probe(ctx) }) // what it says is noted
		cancel()
		if _, since, left = s.doubt(); !since.IsZero() && left > 0 {
			sleep(ctx, min(left, s.times.pause))
		}
	}
	if alone && ctx.Err() == nil {
		s.Log("the seeder %s answers again", s.Base())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict()
}

// doubt is since when the own seeder has been silent, and for how long it still may.
func (s *Seeders) doubt() (now *own, since time.Time, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, patience := s.silence.since, s.times.silent
	if s.silence.refused {
		patience = s.times.refused
	}
	return s.own.Load(), since, time.Until(since.Add(patience))
}

// Refuse goes on with another seeder than the own one, as that has sent what this node must not take, and reports whether there is one. Of those
// that serve, one that was refused before is taken last.
func (s *Seeders) Refuse(ctx context.Context, why error) bool {
	now, _ := s.current()
	return s.replace(ctx, now, why)
}

// replace goes on with another seeder, as one has sent what this node must not take.
func (s *Seeders) replace(ctx context.Context, from *own, why error) bool {
	s.refuse(from.Base, why)
	if !s.knowsOthers() { // it may be too early
		s.readList(ctx)
	}
	alone := true // the error says it
	return s.moveOn(ctx, from, "is refused", nil, &alone)
}

// refuse notes that a seeder is refused, and says so once.
func (s *Seeders) refuse(base string, why error) {
	s.mu.Lock()
	s.refused[base] = true
	s.mu.Unlock()
	if s.said.Allow(base+why.Error(), time.Now(), 24*time.Hour) {
		s.Log("the seeder %s is refused: %v", base, why)
	}
}

// moveOn goes on with another seeder than one, if one of them serves and still holds after that was found out. It reports whether the node has left
// that one. Where nobody serves it says so, unless that was said.
func (s *Seeders) moveOn(ctx context.Context, from *own, why string, still func() bool, alone *bool) bool {
	s.moving.Lock()
	defer s.moving.Unlock()
	if s.own.Load() != from {
		return true
	}
	base, tried := s.Next(ctx)
	switch {
	case ctx.Err() != nil || still != nil && !still():
		return false
	case base == "":
		if len(tried) > 0 && !*alone {
			*alone = true
			s.Log("the seeder %s %s, and no other one that this node knows serves (%s); going on with other nodes", from.Base, why, strings.Join(tried, "; "))
		}
		return false
	}
	s.Use(base)
	left, next := short(from.Base, base)
	line := fmt.Sprintf("the seeder %s %s; going on with %s", left, why, next)
	s.Log("%s", line)
	s.mu.Lock()
	s.note, s.noteUntil = strings.ToUpper(line[:1])+line[1:]+".", time.Now().Add(noteTime)
	s.mu.Unlock()
	if s.Moved != nil {
		s.Moved()
	}
	return true
}

// short are two base URLs as a line of a screen has room for them: the hosts alone, if they differ.
func short(a, b string) (string, string) {
	u, errU := url.Parse(a)
	v, errV := url.Parse(b)
	if errU != nil || errV != nil || u.Hostname() == v.Hostname() {
		return a, b
	}
	return u.Hostname(), v.Hostname()
}

// Note says in a line that the node has gone on with another seeder, for a while after that.
func (s *Seeders) Note() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.noteUntil) {
		return s.note
	}
	return ""
}

// Next returns the base URL of the first other seeder that serves a catalog which this node may take; empty, with how they fared, if none does.
func (s *Seeders) Next(ctx context.Context) (base string, tried []string) {
	ctx, cancel := context.WithTimeout(ctx, nextTime)
	defer cancel()
	s.mu.Lock()
	candidates := s.candidates()
	s.mu.Unlock()
	type outcome struct {
		base string
		err  error
	}
	outcomes := make(chan outcome, len(candidates))
	for i, base := range candidates {
		go func() {
			sleep(ctx, time.Duration(i)*stagger)
			numeric, err := Numeric(ctx, base)
			if err == nil {
				err = s.serves(ctx, numeric)
			}
			outcomes <- outcome{numeric, err}
		}()
	}
	for range candidates {
		o := <-outcomes
		if o.err == nil {
			return o.base, nil
		}
		if refusable(o.err) {
			s.refuse(o.base, o.err)
		}
		tried = append(tried, strings.TrimPrefix(o.err.Error(), "the seeder "))
	}
	return "", tried
}

// serves returns why a seeder's catalog can't be taken, nil if it can.
func (s *Seeders) serves(ctx context.Context, base string) error {
	signed, err := s.At(base).Catalog(ctx)
	if err != nil {
		return err
	}
	return s.Newest(signed.Counter, base)
}

// candidates are the base URLs of those to go on with, in the order in which they are preferred. s.mu is held.
func (s *Seeders) candidates() (bases []string) {
	for _, known := range s.swarm() {
		if known.HTTP != s.Base() {
			bases = append(bases, known.HTTP)
		}
	}
	slices.SortStableFunc(bases, func(a, b string) int { return s.rank(a) - s.rank(b) })
	return bases
}

// rank puts those that were refused behind the others, and among each of the two kinds those in the node's own subnet first. s.mu is held.
func (s *Seeders) rank(base string) int {
	if s.refused[base] {
		return 2 + s.distance(base)
	}
	return s.distance(base)
}

// distance is 0 for a seeder in the node's own subnet, and 1 for others.
func (s *Seeders) distance(base string) int {
	u, err := url.Parse(base)
	if err != nil || s.Near == nil {
		return 1
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && s.Near(a) {
		return 0
	}
	return 1
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
