package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/efiboot"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/local"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

const (
	// localSeconds is for how long the list of what is on the disk is shown before its default is started, doubtSeconds for how long where
	// something is not as it should be.
	localSeconds, doubtSeconds = 3, 10
	// Names of items that are no Linux entry: the firmware's own way, and one of its options.
	byFirmware, byOption = "firmware", "option-"
)

// noSystemError says that there is nothing on this machine's disks.
type noSystemError struct{ what []string }

func (e *noSystemError) Error() string { return strings.Join(e.what, "; ") }

// withLocal adds the machine's own disk to a catalog that holds for this machine, if the site offers it and the rules allow it, or if they say
// that it is started. The chooser lists it where it is offered and the machine seems to have a disk.
func (n *Node) withLocal(cat *catalog.Catalog, d rules.Decision) *catalog.Catalog {
	offered := cat.Local && d.Settings.Offers(catalog.StartLocal)
	if !offered && cat.Defaults.System != catalog.StartLocal && d.Next != catalog.StartLocal && n.Cmdline.System != catalog.StartLocal {
		return cat
	}
	c := *cat
	c.Local = offered && hardware.MayHaveDisk()
	return c.WithLocal(n.Facts.Arch)
}

// startLocal starts what is on the machine's own disk: Linux by kexec, anything else by the firmware.
func (n *Node) startLocal(ctx context.Context, sys catalog.System) (decision.Decision, error) {
	defer n.download.release()
	n.loadDisks(ctx)
	n.download.stopEngine()
	found, err := local.Scan(ctx, filepath.Join(n.download.systems, "disks"))
	if err != nil {
		return decision.Decision{}, err
	}
	defer found.Close()
	if n.disks.lacking != "" {
		found.Firmware = true // nobody has looked
		found.Notes = []string{"the drivers of disks can't be loaded, so it is not known what is on them: " + n.disks.lacking}
	}
	for _, note := range found.Notes {
		n.Log("disks: %s", note)
	}
	l := &localStart{node: n, sys: sys, found: found, failed: map[string]string{}}
	if n.Facts.EFI {
		if l.options, l.noVariables = n.firmwareOptions(found); l.noVariables != nil {
			n.Log("the firmware's boot options can't be used: %v", l.noVariables)
		}
	}
	return l.run(ctx)
}

// localStart is one start of the machine's own disk.
type localStart struct {
	node  *Node
	sys   catalog.System
	found *local.Found
	// options are the firmware's that lead to a disk; noVariables is why the firmware can't be asked.
	options     []efiboot.Option
	noVariables error
	// failed are why items could not be started, by their names.
	failed map[string]string
}

// run shows what there is until something is started, or a person goes back.
func (l *localStart) run(ctx context.Context) (decision.Decision, error) {
	for {
		items := l.items()
		if len(items) == 0 {
			err := &noSystemError{l.found.Notes}
			l.node.nothingLocal = err
			return decision.Decision{}, fmt.Errorf("%w: %w", boot.ErrRefused, err) // the chooser comes next, and says so
		}
		choice, err := l.ask(ctx, items)
		if err != nil {
			return decision.Decision{}, fmt.Errorf("the list of what is on the disk: %w", err)
		}
		switch choice.Action {
		case decision.Shell:
			l.node.shell(ctx, "ls /bbin lists all commands; what is on the disks is mounted, read-only, below "+filepath.Join(l.node.download.systems, "disks"))
			continue
		case decision.Start:
		default:
			return choice, nil
		}
		d, err := l.start(ctx, choice.System)
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return decision.Decision{}, err
		}
		l.node.Log("%v", err)
		l.failed[choice.System] = err.Error()
	}
}

// ask shows the list. Where the menu is locked, only its default needs no password.
func (l *localStart) ask(ctx context.Context, items []menu.Item) (decision.Decision, error) {
	guarded, over := context.WithCancel(ctx)
	defer over()
	events := make(chan tea.Msg)
	config := menu.ChooserConfig{Place: l.node.place(), Items: items, Notices: l.notices(), Lock: l.node.guard(guarded, events)}
	config.Default, config.Timeout = l.deflt(items)
	return ask(ctx, l.node, menu.NewDisk(config), events)
}

// items are what can be chosen: the Linux entries, then the firmware's ways.
func (l *localStart) items() []menu.Item {
	var items []menu.Item
	for i, e := range l.found.Entries {
		item := menu.Item{Name: strconv.Itoa(i), Title: e.Title, Description: fmt.Sprintf("On %s: %s %s", e.Device, e.Kernel, e.Cmdline)}
		item.Unavailable = l.failed[item.Name]
		if e.Missing != "" {
			item.Unavailable = fmt.Sprintf("its file %s is missing on %s", e.Missing, e.Device)
		}
		items = append(items, item)
	}
	for _, o := range l.options {
		name := fmt.Sprintf("%s%d", byOption, o.Number)
		items = append(items, menu.Item{
			Name: name, Title: "By the firmware: " + o.Title, Unavailable: l.failed[name],
			Description: fmt.Sprintf("Restarts this machine; the firmware then starts its boot option %s, once.", o),
		})
	}
	if len(l.options) == 0 && (l.found.Firmware || len(items) > 0) {
		items = append(items, menu.Item{
			Name: byFirmware, Title: "By the firmware", Unavailable: l.failed[byFirmware],
			Description: "Restarts this machine; the boot script then has the firmware start the disk, once.",
		})
	}
	return items
}

// deflt is what is started when nobody chooses, and after how many seconds.
func (l *localStart) deflt(items []menu.Item) (name string, seconds int) {
	at := l.found.Default
	if at >= 0 && l.found.Entries[at].Missing == "" && l.failed[strconv.Itoa(at)] == "" {
		return strconv.Itoa(at), localSeconds
	}
	seconds = doubtSeconds
	if len(l.found.Entries) == 0 && l.node.disks.lacking == "" && !l.found.Doubtful {
		seconds = localSeconds // a disk of Windows, as it should be
	}
	i := slices.IndexFunc(items, func(i menu.Item) bool {
		return i.Unavailable == "" && (i.Name == byFirmware || strings.HasPrefix(i.Name, byOption))
	})
	switch {
	case i < 0:
		return "", -1
	case l.node.Cmdline.LocalFailed, items[i].Name == byFirmware && l.node.Facts.EFI && l.noVariables == nil:
		return items[i].Name, -1 // it has been tried, or leads nowhere
	}
	return items[i].Name, seconds
}

// notices say why there is no more to choose from.
func (l *localStart) notices() []string {
	var notices []string
	if at := l.found.Default; at < 0 || l.found.Entries[at].Missing != "" {
		notices = slices.Clone(l.found.Notes)
	}
	for _, e := range l.found.Entries {
		if e.Default && e.Missing != "" {
			notices = append(notices, fmt.Sprintf("The disk's default, %s, can't be started: its file %s is missing on %s.", e.Title, e.Missing, e.Device))
		}
	}
	if l.node.Cmdline.LocalFailed {
		notices = append(notices, "The firmware could not start the disk when it was told to.")
	}
	if l.node.Facts.EFI && l.noVariables == nil && len(l.options) == 0 {
		notices = append(notices, "The firmware has no boot option for a disk of this machine: make one in its setup, or have the system on the disk make it (Linux: grub-install, efibootmgr).")
	}
	for _, why := range l.failed {
		notices = append(notices, why)
	}
	return notices
}

// start starts an item. Only what restarts the machine returns without an error.
func (l *localStart) start(ctx context.Context, name string) (decision.Decision, error) {
	if number, ok := strings.CutPrefix(name, byOption); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err == nil {
			err = efiboot.SetNext(efiboot.Folder, uint16(n))
		}
		return l.restart(ctx, err)
	}
	if name == byFirmware {
		return l.restart(ctx, l.node.flagLocal(ctx))
	}
	i, err := strconv.Atoi(name)
	if err != nil || i < 0 || i >= len(l.found.Entries) {
		return decision.Decision{}, fmt.Errorf("there is no entry %q on the disk", name)
	}
	return decision.Decision{}, l.node.kexecLocal(ctx, l.sys, l.found, l.found.Entries[i])
}

// restart restarts the machine, if what is to come then could be set.
func (l *localStart) restart(ctx context.Context, err error) (decision.Decision, error) {
	if err != nil {
		return decision.Decision{}, err
	}
	l.found.Close()
	l.node.Log("this machine restarts now, and its firmware starts the disk")
	l.node.Report.End(nil)
	l.node.lastReport(ctx)
	return decision.Decision{Action: decision.Reboot}, nil
}

// flagLocal has the boot script say that the firmware starts the disk, the next time this machine asks for it.
func (n *Node) flagLocal(ctx context.Context) error {
	if n.Cmdline.Medium != 0 {
		return errors.New("this machine was started from a stick or disc, which no boot script can be told of: take it out, and restart the machine")
	}
	err := n.session.Ask(ctx, func(ctx context.Context, c *client.Client) error {
		return c.StartLocal(ctx, n.link.lease().MAC.String())
	})
	if err != nil {
		return fmt.Errorf("the seeder does not take this machine's wish to start its disk: %w", err)
	}
	return nil
}

// kexecLocal starts a Linux kernel from a disk; it returns only with an error.
func (n *Node) kexecLocal(ctx context.Context, sys catalog.System, found *local.Found, e local.Entry) error {
	fail := func(err error) error { return fmt.Errorf("%s on %s could not be started: %w", e.Title, e.Device, err) }
	if n.Secure.Locked && n.Secure.NoKexecFile {
		return fail(errors.New("with Secure Boot on this node's kernel starts no other one; the firmware does"))
	}
	job, err := n.diskJob(sys, e)
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(job.Dir)
	method, err := launch.For(job.System, nil)
	if err != nil {
		return fail(err)
	}
	available, err := launch.Available()
	if err != nil {
		return fail(err)
	}
	if err := launch.Preflight(job.System, job.Files, method, launch.Room{Memory: available, Inodes: -1}); err != nil {
		return fail(err)
	}
	if err := method.Load(ctx, job); err != nil {
		return fail(secureboot.Explain(err))
	}
	found.Close()
	return fail(n.leave(ctx, method, job, e.Title+" on this machine's disk"))
}

// diskJob makes the job of an entry, whose files it lays into a folder of its own: several initrds are joined there.
func (n *Node) diskJob(sys catalog.System, e local.Entry) (launch.Job, error) {
	job := launch.Job{System: sys, Dir: filepath.Join(n.download.systems, "disk-boot"), Log: n.Log}
	job.System.Title, job.System.Size = e.Title, 0
	k := &catalog.Kexec{Kernel: "kernel", Cmdline: e.Cmdline}
	job.System.Launch = catalog.Launch{Method: catalog.MethodKexec, Kexec: k}
	if err := os.RemoveAll(job.Dir); err != nil {
		return job, err
	}
	if err := os.MkdirAll(job.Dir, 0o755); err != nil {
		return job, err
	}
	add := func(from, name string) error {
		size, err := copyFrom(e, from, filepath.Join(job.Dir, name))
		job.Files = append(job.Files, catalog.File{Path: name, Size: size})
		return err
	}
	if err := add(e.Kernel, k.Kernel); err != nil {
		return job, errors.Join(err, os.RemoveAll(job.Dir))
	}
	for i, initrd := range e.Initrd {
		name := fmt.Sprintf("initrd%d", i)
		k.Initrd = append(k.Initrd, name)
		if err := add(initrd, name); err != nil {
			return job, errors.Join(err, os.RemoveAll(job.Dir))
		}
	}
	return job, nil
}

// copyFrom copies a file of a disk into memory.
func copyFrom(e local.Entry, name, to string) (int64, error) {
	from, err := e.Open(name)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(f, from)
	return size, errors.Join(err, f.Close())
}
