package api

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/room"
	"github.com/boottorrent/boottorrent/seeder/wol"
)

// Named is a machine in an answer.
type Named struct {
	MAC  string `json:"mac"`
	Name string `json:"name"`
}

// Woken is the answer to POST wake.
type Woken struct {
	// Machines are those that packets were sent for, Sent how that went on each interface.
	Machines []Named    `json:"machines"`
	Sent     []wol.Sent `json:"sent"`
}

// targets reads a request and finds its targets.
func (a *API) targets(r *http.Request) (Request, []room.Target, error) {
	req, err := read(r)
	if err != nil {
		return req, nil, err
	}
	targets, err := a.Room().Targets(req.Targets)
	return req, targets, err
}

// machines are those of targets; that there is none is an error.
func machines(targets []room.Target) ([]room.Machine, error) {
	all := room.Machines(targets)
	if len(all) == 0 {
		var names []string
		for _, t := range targets {
			names = append(names, t.Group)
		}
		return nil, failed(http.StatusConflict, "no machine of %s is known yet: the site lists none, and none has reported", strings.Join(names, ", "))
	}
	return all, nil
}

func (a *API) wake(_ http.ResponseWriter, r *http.Request) (any, error) {
	_, targets, err := a.targets(r)
	if err != nil {
		return nil, err
	}
	all, err := machines(targets)
	if err != nil {
		return nil, err
	}
	var macs []net.HardwareAddr
	woken := Woken{}
	for i := range all {
		mac, err := net.ParseMAC(all[i].MAC)
		if err != nil {
			return nil, err
		}
		macs = append(macs, mac)
		woken.Machines = append(woken.Machines, Named{all[i].MAC, all[i].Called()})
	}
	a.cfg.Log.Info("machines are woken", "machines", len(macs), "by", r.RemoteAddr)
	woken.Sent = list(a.cfg.Wake(r.Context(), macs))
	if !slices.ContainsFunc(woken.Sent, func(s wol.Sent) bool { return s.Error == "" }) {
		var errs []string
		for _, s := range woken.Sent {
			errs = append(errs, s.Error)
		}
		return nil, failed(http.StatusInternalServerError, "no packet could be sent: %s", strings.Join(errs, "; "))
	}
	return woken, nil
}

// sayTargets are targets as package next has them.
func sayTargets(targets []room.Target) (said []next.Target) {
	for _, t := range targets {
		n := next.Target{Group: t.Group}
		for _, m := range t.Machines {
			if t.Group == "" {
				n.MAC = m.MAC
			} else {
				n.Has = append(n.Has, m.MAC)
			}
		}
		same := func(o next.Target) bool { return o.MAC == n.MAC && o.Group == n.Group }
		if !slices.ContainsFunc(said, same) {
			said = append(said, n)
		}
	}
	return said
}

func (a *API) setNext(_ http.ResponseWriter, r *http.Request) (any, error) {
	req, targets, err := a.targets(r)
	if err != nil {
		return nil, err
	}
	if err := a.startable(req.What, catalog.StartMenu, catalog.StartLocal); err != nil {
		return nil, err
	}
	said, err := a.cfg.Next.Set(sayTargets(targets), req.What, req.Once)
	if err != nil && said == nil {
		return nil, failed(http.StatusConflict, "%v", err)
	}
	a.cfg.Log.Info("what machines start next is said", "what", req.What, "once", req.Once, "targets", req.Targets, "by", r.RemoteAddr)
	return Next{list(said)}, err
}

func (a *API) clearNext(_ http.ResponseWriter, r *http.Request) (any, error) {
	req, targets, err := a.targets(r)
	if err != nil {
		return nil, err
	}
	gone, err := a.cfg.Next.Clear(sayTargets(targets))
	a.cfg.Log.Info("what machines start next is cleared", "entries", len(gone), "targets", req.Targets, "by", r.RemoteAddr)
	return Next{list(gone)}, err
}

func (a *API) giveOrder(_ http.ResponseWriter, r *http.Request) (any, error) {
	req, targets, err := a.targets(r)
	if err != nil {
		return nil, err
	}
	action := order.Action(req.Action)
	switch {
	case !slices.Contains(order.Actions, action):
		return nil, failed(http.StatusBadRequest, "action is %q; want one of %v", req.Action, order.Actions)
	case req.System != "" && action != order.Choose:
		return nil, failed(http.StatusBadRequest, "only choose has a system")
	case req.Wait < 0:
		return nil, failed(http.StatusBadRequest, "wait is %d; want a number of seconds", req.Wait)
	}
	if req.System != "" {
		if err := a.startable(req.System, catalog.StartLocal); err != nil {
			return nil, err
		}
	}
	all, err := machines(targets)
	if err != nil {
		return nil, err
	}
	return a.cfg.Orders.Give(action, req.System, all, time.Duration(min(req.Wait, 1e6))*time.Second)
}

// startable reports a name that is no system's and none of the words that stand for one.
func (a *API) startable(name string, words ...string) error {
	cat := a.cfg.Catalog()
	if cat == nil {
		return failed(http.StatusConflict, "the seeder is still reading its site; come again in a few seconds")
	}
	var names []string
	for _, s := range cat.Systems {
		names = append(names, s.Name)
	}
	names = append(names, words...)
	if slices.Contains(names, name) {
		return nil
	}
	return failed(http.StatusBadRequest, "%q is no system; there are %s", name, strings.Join(names, ", "))
}
