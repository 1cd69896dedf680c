package node

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"unicode"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// Launch starts the system. One that runs beside this program is shown until it ends.
func (n *Node) Launch(ctx context.Context, sys catalog.System) (decision.Decision, error) {
	d, err := n.launch(ctx, sys)
	return d, n.rememberRefusal(sys, err)
}

func (n *Node) launch(ctx context.Context, sys catalog.System) (decision.Decision, error) {
	if sys.Launch.Method == catalog.MethodLocal {
		n.followed()
		n.helper.Stop("the machine's own disk is being started")
		defer n.mayHelp(nil) // if it returns
		return n.startLocal(ctx, sys)
	}
	method, err := launch.For(sys, n.session.catalog)
	if err != nil {
		return decision.Decision{}, err
	}
	other, err := n.otherKernel(sys)
	if err != nil {
		return decision.Decision{}, err
	}
	n.Log("loading %s", sys.Title)
	n.followed() // now, so that a machine that fails before tries again
	if !other && !method.Leaves() {
		if takesAll(sys) {
			n.helper.Refuse("a virtual machine has all of its memory")
		}
		defer n.mayHelp(nil)
		return n.host(ctx, method, sys)
	}
	n.helper.Stop("its own system is being started")
	defer n.mayHelp(nil) // if it returns
	switch {
	case other:
		return decision.Decision{}, n.bootKernel(ctx, sys)
	case sys.Launch.Method == catalog.MethodRoot:
		return n.switchTo(ctx, method, sys)
	}
	return decision.Decision{}, n.handOver(ctx, method, sys)
}

// handOver starts a system that takes the machine over: it loads it, says good-bye on every console and to the seeder, and
// jumps.
func (n *Node) handOver(ctx context.Context, method launch.Method, sys catalog.System) error {
	defer n.download.release() // if it returns: the files are there for a step by hand
	n.download.stopEngine()    // its memory is needed, and its peers should look elsewhere before it falls silent
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return err
	}
	job := launch.Job{System: sys, Files: files, Dir: n.download.folder(sys), Vars: n.vars(sys), Log: n.Log}
	if job.MachineFiles, err = n.machineFiles(ctx, sys, job.Vars); err != nil {
		return err
	}
	if err := method.Load(ctx, job); err != nil {
		return err
	}
	return n.leave(ctx, method, job, sys.Title)
}

// leave starts what was loaded, which takes the machine over, and is called title.
func (n *Node) leave(ctx context.Context, method launch.Method, job launch.Job, title string) error {
	n.Report.End(nil)
	n.lastReport(ctx)
	n.Log("---- BootTorrent hands over to %s ----", title)
	n.Flush(ctx)
	n.Drain(ctx)
	n.quiet(false)
	defer n.quiet(true) // if it returns
	_, err := method.Start(ctx, job)
	return err
}

// lastReport posts the report before a hand-over, unless the seeder is away: nobody waits for it then.
func (n *Node) lastReport(ctx context.Context) {
	if n.session.Silent() {
		return
	}
	if err := n.Report.Post(ctx, seeders.Poster{Seeders: n.session.Seeders}); err != nil {
		n.Log("the seeder did not take the last report: %v", err)
	}
}

// host runs a system beside this program until it ends, and returns what follows.
func (n *Node) host(ctx context.Context, method launch.Method, sys catalog.System) (choice decision.Decision, err error) {
	job, err := n.guestJob(sys)
	if err != nil {
		return choice, err
	}
	defer n.tidy()
	if err := method.Load(ctx, job); err != nil {
		return choice, err
	}
	running, err := method.Start(ctx, job)
	if err != nil {
		return choice, err
	}
	g := newGuest(n, sys, running)
	n.download.startAccounting(sys)
	leave := g.run(ctx)
	running.Stop() // if it runs, which is so only when ctx has ended
	ended := n.Report.Snapshot().Uptime
	n.Report.Set(func(r *wire.Report) {
		exit := running.Exit()
		exit.System, exit.At = sys.Name, ended
		r.Exit = &exit
	})
	if err := running.Close(); err != nil {
		n.Log("%v", err)
	}
	n.tidy() // now: what it wrote is memory that the next one may want
	if err := n.Report.Post(ctx, seeders.Poster{Seeders: n.session.Seeders}); err != nil {
		n.Log("the seeder did not take the report: %v", err)
	}
	return g.afterwards(ctx, leave)
}

// tidy clears up after a system. That it could not is no reason not to go on: the next start tries again.
func (n *Node) tidy() {
	if err := n.download.clearScratch(); err != nil {
		n.Log("%v", err)
	}
}

// vars are the values of the placeholders in a command line, all of catalog.Placeholders.
func (n *Node) vars(sys catalog.System) map[string]string {
	l := n.link.lease()
	v := map[string]string{
		"MAC": l.MAC.String(), "IP": text(l.Addr.Addr()), "Netmask": netmask(l.Addr), "Gateway": text(l.Gateway), "DNS": "",
		"Hostname": l.Hostname, "Interface": l.Interface, "UUID": n.Facts.UUID, "Serial": oneWord(n.Facts.Serial),
		"Group": n.session.decision.Group, "System": sys.Name, "Seeder": "",
		"HTTP": n.session.Base() + strings.TrimSuffix(sys.FilePath(""), "/"), "Console": n.consoleArgument(),
	}
	if len(l.DNS) > 0 {
		v["DNS"] = text(l.DNS[0])
	}
	if a, err := n.session.Addr(); err == nil {
		v["Seeder"] = text(a)
	}
	return v
}

// maxSerial is the most bytes of {{.Serial}}, as package catalog reckons.
const maxSerial = 64

// oneWord makes a word of what firmware says: what isn't a letter, a digit, or one of a few signs would be a kernel's or a shell's business.
func oneWord(s string) string {
	word := strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.:/+", r)) {
			return r
		}
		return '-'
	}, s)
	return word[:min(len(word), maxSerial)]
}

// text is an address; empty where there is none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func netmask(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return net.IP(net.CIDRMask(p.Bits(), 32)).String()
}
