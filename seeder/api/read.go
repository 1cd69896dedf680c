package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/room"
	"github.com/boottorrent/boottorrent/seeder/selftest"
)

// Nodes is the answer to GET nodes.
type Nodes struct {
	// Machines are all that are known, Groups the site's groups in their order.
	Machines []room.Machine `json:"machines"`
	Groups   []string       `json:"groups"`
}

// Findings is the answer to GET findings.
type Findings struct {
	Findings []selftest.Finding `json:"findings"`
}

// Next is the answer to what is about next: all entries, or those that were said or cleared.
type Next struct {
	Next []next.Entry `json:"next"`
}

// Orders is the answer to GET orders.
type Orders struct {
	Orders []orders.Batch `json:"orders"`
}

// list is a list that is no null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func (a *API) nodes(http.ResponseWriter, *http.Request) (any, error) {
	r := a.Room()
	return Nodes{list(r.Machines), list(r.Groups)}, nil
}

func (a *API) systems(http.ResponseWriter, *http.Request) (any, error) { return a.cfg.Systems(), nil }

func (a *API) findings(http.ResponseWriter, *http.Request) (any, error) {
	return Findings{list(a.cfg.Findings())}, nil
}

// History is the answer to GET history.
type History struct {
	// Boots are the last ones, the last one first.
	Boots []history.Boot `json:"boots"`
}

// maxHistory is how many boots an answer has at most.
const maxHistory = 2000

// history answers with the last boots: of a machine (?mac=aa:bb:cc:dd:ee:ff), or of all.
func (a *API) history(_ http.ResponseWriter, r *http.Request) (any, error) {
	mac := r.URL.Query().Get("mac")
	if mac != "" {
		address, err := net.ParseMAC(mac)
		if err != nil {
			return nil, failed(http.StatusBadRequest, "mac is %.100q; want aa:bb:cc:dd:ee:ff", mac)
		}
		mac = address.String()
	}
	var boots []history.Boot
	if a.cfg.History != nil {
		boots = a.cfg.History(mac)
	}
	return History{list(boots[:min(len(boots), maxHistory)])}, nil
}

// Target is a group of addresses to scrape, as Prometheus' HTTP service discovery (http_sd) has it.
type Target struct {
	Targets []string          `json:"targets"` // ADDRESS:PORT
	Labels  map[string]string `json:"labels"`
}

// scraped answers what Prometheus can scrape: this seeder. Nodes have no metrics of their own; what they report is among the seeder's.
func (a *API) scraped(_ http.ResponseWriter, r *http.Request) (any, error) {
	if a.cfg.Targets == nil {
		return []Target{}, nil
	}
	var local netip.Addr
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		local = addr.AddrPort().Addr().Unmap()
	}
	return list(a.cfg.Targets(local)), nil
}

func (a *API) listNext(http.ResponseWriter, *http.Request) (any, error) {
	return Next{a.cfg.Next.List()}, nil
}

func (a *API) listOrders(http.ResponseWriter, *http.Request) (any, error) {
	return Orders{a.cfg.Orders.List()}, nil
}

// maxPoll is how long a request for an order may wait for news.
const maxPoll = 30 * time.Second

// getOrder answers how it stands with an order; with waiting=N once no more than N machines are waited for, but after wait seconds at most.
func (a *API) getOrder(_ http.ResponseWriter, r *http.Request) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, failed(http.StatusBadRequest, "%q is no number of an order", r.PathValue("id"))
	}
	waiting, wait := -1, maxPoll
	q := r.URL.Query()
	if text := q.Get("waiting"); text != "" {
		if waiting, err = strconv.Atoi(text); err != nil {
			return nil, failed(http.StatusBadRequest, "waiting is %q; want a number of machines", text)
		}
	}
	if text := q.Get("wait"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 {
			return nil, failed(http.StatusBadRequest, "wait is %q; want a number of seconds", text)
		}
		wait = min(maxPoll, time.Duration(seconds)*time.Second)
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	b, ok := a.cfg.Orders.Get(ctx, id, waiting)
	if !ok {
		return nil, failed(http.StatusNotFound, "no order %d is known; it may be too long ago", id)
	}
	return b, nil
}
