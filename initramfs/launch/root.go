package launch

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/root"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// ErrSwitch is returned by Start of a system that process 1 has to go on with: the program has to end with boot.ExitSwitch.
var ErrSwitch = errors.New("the system is ready, and process 1 has to become its init")

// rootMethod mounts the system's images and lets its init become process 1.
type rootMethod struct {
	prepare  func(context.Context, root.Config) (*root.Prepared, error)
	memory   func() (total, free int64, err error)
	prepared *root.Prepared
}

func newRoot() *rootMethod { return &rootMethod{prepare: root.Prepare, memory: machineMemory} }

// machineMemory is how many bytes this machine has, and how many of them programs can still have.
func machineMemory() (total, free int64, err error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, 0, fmt.Errorf("ask how much memory there is: %w", err)
	}
	free, err = Available()
	return int64(info.Totalram) * int64(info.Unit), free, err
}

// Leaves implements [Method].
func (*rootMethod) Leaves() bool { return true }

// Need implements [Method]. The images are in memory once, as files.
func (m *rootMethod) Need(sys catalog.System, _ catalog.FileList) Memory {
	return Memory{Parts: rootParts(*sys.Launch.Root, m.total())}
}

// total is the machine's memory; 0 if it can't be had, when a share of it means nothing.
func (m *rootMethod) total() int64 {
	total, _, err := m.memory()
	if err != nil {
		return 0
	}
	return total
}

// rootParts is the sum of what a system takes beside its images. A limit for what is written counts whole.
func rootParts(r catalog.Root, total int64) []Part {
	parts := []Part{{"the running system", catalog.RootSystem}, {"giving it away", catalog.RootStay}}
	if r.Writable == catalog.WritableNone {
		return parts
	}
	limit := r.WritableLimit.Of(total)
	if limit == 0 {
		limit = catalog.RootWritable
	}
	return append([]Part{{"what it writes", limit}}, parts...)
}

// writable is how many bytes a system may write, with its images in memory already and so many bytes free: its limit, or what is left, and
// at most half of the memory.
func writable(r catalog.Root, total, free int64) int64 {
	if limit := r.WritableLimit.Of(total); limit > 0 {
		return limit
	}
	return max(catalog.RootWritable, min(free-catalog.RootSystem-catalog.RootStay, total/2))
}

// Load implements [Method].
func (m *rootMethod) Load(ctx context.Context, job Job) error {
	if err := m.Unload(); err != nil {
		return err
	}
	r := *job.System.Launch.Root
	cmdline, err := catalog.Expand(r.Cmdline, job.Vars)
	if err != nil {
		return fmt.Errorf("start %s: its command line: %w", job.System.Name, err)
	}
	total, free, err := m.memory()
	if err != nil {
		return fmt.Errorf("start %s: %w", job.System.Name, err)
	}
	m.prepared, err = m.prepare(ctx, root.Config{
		Name: job.System.Name, Root: r, Dir: job.Dir, Cmdline: cmdline, Hostname: job.Vars["Hostname"], Named: job.Named, Writable: writable(r, total, free),
		Identity: job.Vars["UUID"] + " " + job.Vars["MAC"], Kernel: "/", Files: job.MachineFiles, Log: job.Log,
	})
	return err
}

// Unload unmounts what Load mounted.
func (m *rootMethod) Unload() error {
	if m.prepared == nil {
		return nil
	}
	err := m.prepared.Close()
	m.prepared = nil
	return err
}

// Start implements [Method]: it returns ErrSwitch.
func (m *rootMethod) Start(_ context.Context, job Job) (Guest, error) {
	if m.prepared == nil {
		return nil, fmt.Errorf("start %s: it is not mounted; load it first", job.System.Name)
	}
	if err := m.prepared.Commit(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", job.System.Name, err), m.Unload())
	}
	return nil, ErrSwitch
}
