package daemon

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/boottorrent/boottorrent/internal/site"
)

// watch tells of the site's changes until ctx ends, from before it is published for the first time: hashing may take
// minutes. Changes that come while one is being dealt with are told of as one. That the site can't be watched is logged;
// it is served nevertheless.
func (d *daemon) watch(ctx context.Context, changed chan<- struct{}) {
	err := site.Watch(ctx, d.Site.Dir, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		d.Log.Error("changes of the site are not noticed any more", "err", err)
	}
}

// follow publishes the site again whenever it has changed, until ctx ends.
func (d *daemon) follow(ctx context.Context, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			d.reload(ctx)
		}
	}
}

// reload publishes the site as it is now. If that fails, what was published before stays.
func (d *daemon) reload(ctx context.Context) {
	s, problems := site.Load(d.Site.Dir)
	if s == nil {
		for _, problem := range problems {
			d.Log.Warn("the site has a problem; what was offered before stays", "problem", problem.Error())
		}
		return
	}
	for _, problem := range s.AllProblems() {
		d.Log.Warn("a system has a problem; the others are published", "problem", problem.Error())
	}
	cat, err := d.publish.publish(ctx, s)
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err != nil:
		d.Log.Error("the changed site can't be published; what was offered before stays", "err", err)
		return
	}
	if keys := needRestart(d.Site, s); len(keys) > 0 {
		d.Log.Warn("a change in the site's configuration takes effect after a restart", "keys", strings.Join(keys, ", "))
	}
	d.current.Store(s)
	select {
	case d.retest <- struct{}{}:
	default: // it is asked for already
	}
	d.Log.Info("catalog published", "systems", len(cat.Systems), "default", cat.Defaults.System)
}

// needRestart lists the keys of the configuration in which two sites differ and which are read only at the start.
func needRestart(running, changed *site.Site) (keys []string) {
	for _, k := range []struct {
		name     string
		old, new any
	}{
		{"serve", running.Serve, changed.Serve},
		{"dhcp", running.DHCP, changed.DHCP},
		{"ports", running.Ports, changed.Ports},
		{"racks", running.Racks, changed.Racks},
		{"log", running.Log, changed.Log},
		{"limits.seeder", running.Limits.Seeder, changed.Limits.Seeder},
	} {
		switch {
		case reflect.DeepEqual(k.old, k.new):
		case changed.Original:
			keys = append(keys, changed.Where(k.name))
		default:
			keys = append(keys, k.name)
		}
	}
	return keys
}
