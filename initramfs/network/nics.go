package network

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

// upper is one run of Up.
type upper struct {
	cfg config.Network
	// deadEnds are the MAC addresses of NICs by which no seeder was found.
	deadEnds map[string]bool
	// known is the lease that one of them had; nil: none.
	known *reclaim
	ev    func(string)
	host  host
	uuid  string
	// nics are by the index of their link; only run's goroutine touches the map.
	nics map[int]*nic
	// ready gets an answer for each NIC that has one.
	ready  chan *answer
	asking sync.WaitGroup
	// answers are those that came in, the first one first; waiting is whether it was said that a better one is waited for.
	answers []*answer
	waiting bool
}

// nic is a NIC as Up sees it.
type nic struct {
	index   int
	name    string
	mac     net.HardwareAddr
	carrier bool
	// hadCarrier is whether it ever had link, seen when the NIC appeared, linked when it last got link.
	hadCarrier   bool
	seen, linked time.Time
	// problem is what last kept it from being used; nil for none.
	problem atomic.Pointer[string]
	// tries counts the DISCOVERs sent since the last link.
	tries atomic.Int32
	// cancel ends the asking, and done is closed when it has ended; nil when nobody asks.
	cancel context.CancelFunc
	done   chan struct{}
	// notBefore is when asking may begin again, failures how often something has failed since the last link.
	notBefore time.Time
	failures  int
}

// retryPause is how long to leave a NIC alone after something failed on it for the first time: the cause may pass, but not in
// an instant.
const retryPause = 2 * time.Second

// retryLater ends the asking and lets it begin again in a while.
func (n *nic) retryLater(err error) {
	n.stop()
	n.wait()
	n.fail(err)
}

func (n *nic) fail(err error) {
	problem := err.Error()
	n.problem.Store(&problem)
	n.failures++
	n.notBefore = time.Now().Add(backoff(n.failures))
}

// stop ends the asking; look begins it again if there is link.
func (n *nic) stop() {
	if n.cancel != nil {
		n.cancel()
	}
}

// wait waits until the asking has ended.
func (n *nic) wait() {
	if n.done != nil {
		<-n.done
	}
}

// answer is a NIC that can be used.
type answer struct {
	nic *nic
	// ifname is the NIC's, or its VLAN's.
	ifname string
	offers offers
	// reclaimed is the lease that the NIC had before and has again; nil: there are offers instead.
	reclaimed *Lease
	// at is when it came.
	at time.Time
	// talk is nil for a static address; it is closed when ctx ends.
	talk *conversation
	ctx  context.Context
}

// look brings up NICs that are new and starts or stops asking where link came or went.
func (u *upper) look(ctx context.Context) {
	links, err := netlink.LinkList()
	if err != nil {
		return // the list was interrupted by a change; it will be right the next time
	}
	present := map[int]bool{}
	for _, link := range links {
		if !isNIC(link) || !u.wanted(link.Attrs()) {
			continue
		}
		present[link.Attrs().Index] = true
		u.lookAt(ctx, link)
	}
	for index, n := range u.nics {
		if !present[index] {
			u.ev(n.name + ": unplugged")
			n.stop()
			delete(u.nics, index)
		}
	}
}

func (u *upper) lookAt(ctx context.Context, link netlink.Link) {
	a := link.Attrs()
	n := u.nics[a.Index]
	if n == nil {
		n = &nic{index: a.Index, name: a.Name, mac: a.HardwareAddr, seen: time.Now()}
		u.nics[a.Index] = n
	}
	if a.RawFlags&unix.IFF_UP == 0 && n.idle() && time.Now().After(n.notBefore) {
		if err := netlink.LinkSetUp(link); err != nil {
			err = fmt.Errorf("it can't be brought up: %w", err)
			u.ev(fmt.Sprintf("%s: %v; trying again", n.name, err))
			n.fail(err)
		}
	}
	carrier := a.RawFlags&unix.IFF_LOWER_UP != 0
	switch {
	case carrier && !n.carrier:
		u.ev(n.name + ": link is up")
		n.hadCarrier, n.failures, n.linked = true, 0, time.Now()
	case !carrier && n.carrier:
		u.ev(n.name + ": link is lost")
		n.stop()
	}
	n.carrier = carrier
	if carrier && n.idle() && time.Now().After(n.notBefore) {
		u.start(ctx, n)
	}
}

// idle says whether nobody is asking on the NIC.
func (n *nic) idle() bool {
	if n.done == nil {
		return true
	}
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// start begins to ask on a NIC.
func (u *upper) start(ctx context.Context, n *nic) {
	ctx, n.cancel = context.WithCancel(ctx)
	n.done = make(chan struct{})
	n.tries.Store(0)
	u.asking.Go(func() {
		defer close(n.done)
		defer n.cancel()
		if err := u.ask(ctx, n); err != nil && ctx.Err() == nil {
			u.ev(fmt.Sprintf("%s: %v; trying again", n.name, err))
			n.fail(err)
		}
	})
}

// ask gets an answer on a NIC, offers it to run, and keeps the conversation open until ctx ends.
func (u *upper) ask(ctx context.Context, n *nic) error {
	link, err := netlink.LinkByIndex(n.index)
	if err != nil {
		return err
	}
	a := &answer{nic: n, ifname: n.name, ctx: ctx}
	if u.cfg.VLAN != 0 {
		if a.ifname, err = u.host.addVLAN(link, u.cfg.VLAN); err != nil {
			return err
		}
	}
	if !u.cfg.Static.IsValid() {
		a.talk, err = openRaw(a.ifname, identity{mac: n.mac, uuid: u.uuid, hostname: cmp.Or(u.cfg.Hostname, u.knownName(n))})
		if err != nil {
			return err
		}
		defer a.talk.Close()
		if err := u.askFor(ctx, a); err != nil {
			return err
		}
	}
	select {
	case u.ready <- a:
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// askFor asks for the address that the NIC had, or any.
func (u *upper) askFor(ctx context.Context, a *answer) (err error) {
	if a.reclaimed, err = u.reclaim(ctx, a); a.reclaimed != nil || err != nil {
		return err
	}
	a.offers, err = a.talk.discover(ctx, func(try int) {
		a.nic.tries.Store(int32(try))
		a.nic.problem.Store(nil)
		if worthALine(try) {
			u.ev(fmt.Sprintf("%s: asking for an address (try %d)", a.ifname, try))
		}
	})
	return err
}

// worthALine picks the tries 1, 2, 4, 8 …: a switch that takes a minute is not to fill the screen.
func worthALine(try int) bool { return try&(try-1) == 0 }

// wanted says whether a NIC may be used: any, or the one that the command line names.
func (u *upper) wanted(a *netlink.LinkAttrs) bool {
	return u.cfg.Interface == "" || u.cfg.Interface == a.Name || u.cfg.Interface == a.HardwareAddr.String()
}

// hint says, after a while, what is being waited for.
func (u *upper) hint() {
	for _, n := range u.sorted() {
		if !n.carrier {
			u.ev(n.name + ": no carrier; is its cable plugged in?")
		}
	}
	if len(u.nics) == 0 {
		for _, line := range u.none() {
			u.ev(line)
		}
	}
}

func (u *upper) sorted() []*nic {
	var list []*nic
	for _, n := range u.nics {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *nic) int { return strings.Compare(a.name, b.name) })
	return list
}

// none says why there is no NIC to wait for, and what to do.
func (u *upper) none() []string {
	var lines []string
	for _, d := range hardware.Undriven() {
		lines = append(lines, d.String())
	}
	if u.cfg.Interface == "" {
		return append(lines, "no network interface was found; plug in an adapter that this image has a driver for")
	}
	var names []string
	for _, n := range hardware.NICs() {
		names = append(names, n.String())
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return append(lines, fmt.Sprintf("the kernel command line or boottorrent.conf wants the interface %s, which isn't there; there is %s: "+
		"correct it, or leave it out to try them all", u.cfg.Interface, strings.Join(names, ", ")))
}

// explain is the error when time is up: why, what was seen on each NIC, and what to try.
func (u *upper) explain(cause error) error {
	var lines []string
	for _, n := range u.sorted() {
		lines = append(lines, u.name(n)+": "+u.seen(n))
	}
	if len(lines) == 0 {
		lines = u.none()
	}
	return fmt.Errorf("no network: %w\n%s", cause, strings.Join(lines, "\n"))
}

// seen says how far a NIC got.
func (u *upper) seen(n *nic) string {
	tries := n.tries.Load()
	switch {
	case n.problem.Load() != nil:
		return *n.problem.Load()
	case !n.carrier && n.hadCarrier:
		return "the link came and went; check the cable and the switch"
	case !n.carrier:
		return "no carrier; plug in its cable, or check the switch's port"
	case u.cfg.Static.IsValid():
		return "link is up, but the address could not be set"
	case tries > 0 && u.cfg.VLAN != 0:
		return fmt.Sprintf("link is up, but no DHCP answer on VLAN %d after %d tries; is the port a member of that VLAN, "+
			"tagged, and is there a DHCP server in it?", u.cfg.VLAN, tries)
	case tries > 0:
		return fmt.Sprintf("link is up, but no DHCP answer after %d tries; is there a DHCP server in this network? "+
			"If the network is a tagged VLAN, add vlan=ID to the kernel command line; without DHCP add "+
			"ip=ADDRESS::GATEWAY:NETMASK", tries)
	}
	return "link came up only now"
}

// name is a NIC's with its driver and IDs.
func (u *upper) name(n *nic) string {
	for _, known := range hardware.NICs() {
		if known.Name == n.name {
			return known.String()
		}
	}
	return fmt.Sprintf("%s (%s)", n.name, n.mac)
}
