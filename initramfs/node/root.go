package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/handoff"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// A system of the method root is mounted by the kernel that it wants. Where that is another than the running one, its boot part is
// fetched, given away, and started (this file's bootKernel); the node goes on under it (handed.go), and then, or where the kernel is the
// right one already, the images are fetched and mounted, and the boot ends with decision.Switch (switchTo).

// otherKernel reports whether a system is to be started by way of its boot part.
func (n *Node) otherKernel(sys catalog.System) (bool, error) {
	host := launch.Host{KernelSHA256: n.Image.KernelSHA256, Mounts: n.mounts}
	if n.handed != nil {
		host.Started = n.handed.State.System
	}
	return launch.OtherKernel(sys, host)
}

// bootPart is the boot part of a system.
func (n *Node) bootPart(sys catalog.System) (catalog.Runtime, error) {
	name := sys.Launch.Root.Boot.Part
	part, ok := n.session.catalog.Runtime(name)
	if !ok {
		return part, fmt.Errorf("system %s: it needs the boot part %s, which the catalog does not list; run seeder check on the site", sys.Name, name)
	}
	return part, nil
}

// composedSize is how many bytes the initramfs has at most that a system's kernel is started with.
func (n *Node) composedSize(sys, part catalog.System) (int64, error) {
	list := int64(sys.List.Files) * (catalog.MaxPath / 8) // a path has some hundred bytes
	torrent := sys.Size/max(sys.PieceLength, 1)*20 + list
	return handoff.Size(n.RootDir, int64(len(n.session.signed.Document))+list+torrent+part.Size+n.machineFilesSize())
}

// memoryForKernel is what says whether there is the memory that starting the boot part takes.
func (n *Node) memoryForKernel(ctx context.Context, sys catalog.System, part catalog.Runtime) (fits, error) {
	files, err := n.download.files(ctx, part.System)
	if err != nil {
		return nil, err
	}
	composed, err := n.composedSize(sys, part.System)
	if err != nil {
		return nil, err
	}
	room, err := n.room(part.System)
	if err != nil {
		return nil, err
	}
	method := launch.NewBootKernel(composed)
	job := method.Job(sys, part, files, n.Systems, "")
	return func(less int64) error { return launch.Preflight(job.System, job.Files, method, room.Less(less)) }, nil
}

// bootKernel starts the kernel of a system's boot part; it returns only with an error.
func (n *Node) bootKernel(ctx context.Context, sys catalog.System) error {
	defer n.download.release() // if it returns
	part, err := n.bootPart(sys)
	if err != nil {
		return err
	}
	if err := n.checkCard(sys, part); err != nil {
		return err
	}
	cmdline, err := n.kernelCmdline(sys)
	if err != nil {
		return err
	}
	n.download.stopEngine()
	n.lastReport(ctx)
	n.Log("if this screen stays as it is now, that kernel has no driver for it: the boot goes on, as the serial line and the seeder's page show")
	n.Log("---- BootTorrent goes on under the kernel of %s, %s: %s ----", sys.Title, sys.Launch.Root.Boot.Release, cmdline)
	n.Flush(ctx)
	n.stopShipping() // what is logged from here on, only this machine shows
	defer n.ship(ctx)
	kernel, err := n.loadKernel(ctx, sys, part, cmdline)
	if err != nil {
		return err
	}
	n.Drain(ctx)
	n.quiet(false)
	defer n.quiet(true)
	_, err = kernel.Start(ctx, launch.Job{System: sys, Log: n.Log})
	return err
}

// loadKernel composes the initramfs, and loads it with the kernel and its modules.
func (n *Node) loadKernel(ctx context.Context, sys catalog.System, part catalog.Runtime, cmdline string) (launch.Method, error) {
	files, err := n.download.files(ctx, part.System)
	if err != nil {
		return nil, err
	}
	handOn, err := n.handOn(ctx, sys)
	if err != nil {
		return nil, err
	}
	site := n.Image
	site.KernelSHA256 = sys.Launch.Root.Boot.KernelSHA256
	path := launch.ComposedInitramfs(n.Systems)
	defer os.RemoveAll(filepath.Dir(path)) // kexec has copied it
	size, err := writeFile(path, func(f *os.File) error { return handoff.Initramfs(f, n.RootDir, site, handOn) })
	if err != nil {
		return nil, err
	}
	job := launch.NewBootKernel(size).Job(sys, part, files, n.Systems, cmdline)
	kernel := n.newKernel(size) // what it has to say was said
	return kernel, kernel.Load(ctx, job)
}

// writeFile writes a file, readable for its owner only, by a function, and returns its size.
func writeFile(path string, write func(*os.File) error) (size int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	err = write(f)
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	return size, errors.Join(err, f.Close())
}

// checkCard finds out before the jump whether the system's kernel has a driver for the network card in use.
func (n *Node) checkCard(sys catalog.System, part catalog.Runtime) error {
	path := filepath.Join(n.download.folder(part.System), filepath.FromSlash(sys.Launch.Root.Boot.Modules))
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	index, err := modarchive.Read(f, info.Size())
	if err != nil {
		return fmt.Errorf("the kernel modules of %s: %w", sys.Name, err)
	}
	return n.checkNIC(index, n.link.lease().MAC.String())
}

// checkNIC finds out whether a kernel drives the network card with a MAC address. The interface in use may be a VLAN's.
func checkNIC(index *modarchive.Index, mac string) error {
	for _, nic := range hardware.NICs() {
		if nic.MAC == mac {
			return hardware.CheckNIC(index, nic.Name)
		}
	}
	return fmt.Errorf("the network card %s is gone", mac)
}

// kernelCmdline is the command line of a system's own kernel.
func (n *Node) kernelCmdline(sys catalog.System) (string, error) {
	own, err := catalog.Expand(sys.Launch.Root.Cmdline, n.vars(sys))
	if err != nil {
		return "", fmt.Errorf("start %s: its command line: %w", sys.Name, err)
	}
	return handoff.Cmdline(own, handoff.Words{
		System: sys.Name, Seeder: n.session.Base(), MAC: n.link.lease().MAC, Consoles: n.keptCmdline().Consoles, Debug: n.Cmdline.Debug,
		Seen: n.seen(),
	})
}

// switchTo mounts a system and leaves the rest to process 1.
func (n *Node) switchTo(ctx context.Context, method launch.Method, sys catalog.System) (d decision.Decision, err error) {
	if n.ByHand {
		return d, fmt.Errorf("only process 1 can become the init of %s: choose it in the chooser, in the first console", sys.Title)
	}
	job := launch.Job{System: sys, Dir: n.download.folder(sys), Vars: n.vars(sys), Named: n.link.lease().Named, Log: n.Log}
	if job.MachineFiles, err = n.machineFiles(ctx, sys, job.Vars); err != nil {
		return d, err
	}
	if err := method.Load(ctx, job); err != nil {
		return d, err
	}
	n.Report.End(nil)
	if err := n.commit(ctx, method, job); err != nil {
		if u, ok := method.(interface{ Unload() error }); ok {
			err = errors.Join(err, u.Unload())
		}
		return d, err
	}
	n.Log("---- BootTorrent hands over to %s ----", sys.Title)
	n.Flush(ctx)
	n.stopShipping()
	n.Drain(ctx)
	if err := n.link.leave(); err != nil {
		n.Log("%v; going on", err)
	}
	return decision.Decision{Action: decision.Switch}, nil
}

// commit writes down what the process that stays and process 1 have to do.
func (n *Node) commit(ctx context.Context, method launch.Method, job launch.Job) error {
	plan, err := n.plan(ctx, job.System)
	if err != nil {
		return err
	}
	n.download.stopEngine()
	n.lastReport(ctx)
	plan.Report = n.Report.Snapshot()
	text, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write down what is to be given away: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(n.PlanFile), 0o755); err != nil {
		return fmt.Errorf("write down what is to be given away: %w", err)
	}
	if err := os.WriteFile(n.PlanFile, text, 0o600); err != nil {
		return fmt.Errorf("write down what is to be given away: %w", err)
	}
	if _, err := method.Start(ctx, job); !errors.Is(err, launch.ErrSwitch) {
		return err
	}
	return nil
}

// plan is what the process that stays is to do.
func (n *Node) plan(ctx context.Context, sys catalog.System) (p stay.Plan, err error) {
	p = stay.Plan{
		System: sys, PublicKey: n.session.Key.String(), Seeder: n.session.Base(), Seeders: n.session.Known(),
		Counter: n.session.catalog.Counter, Limits: n.session.catalog.Limits, Port: n.Port, Give: !n.session.catalog.Defaults.LeaveAtStart, Part: n.stayPart(sys),
	}
	if p.Files, err = n.download.files(ctx, sys); err != nil {
		return p, err
	}
	p.Torrent, err = n.download.torrent(ctx, sys)
	return p, err
}
