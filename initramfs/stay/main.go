package stay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// maxPlan is the most bytes of a plan as JSON, in which a torrent takes four bytes for three.
const maxPlan = catalog.MaxFileList + 2*catalog.MaxTorrent + 1<<20

// Descriptors are what the process has from its start on: what init hands over.
type Descriptors struct {
	// Started, Status and Ready are StartedFD, StatusFD and ReadyFD.
	Started, Status, Ready *os.File
	// Group is not init's, but the process's own; it may be nil.
	Group *Group
}

// Inherited are the descriptors of this process; an error says that it was not init that started it.
func Inherited() (Descriptors, error) {
	var st unix.Stat_t
	if err := unix.Fstat(StatusFD, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Descriptors{}, errors.New("init starts this when a system takes the machine over, and nobody else")
	}
	return Descriptors{
		Started: os.NewFile(StartedFD, "started"), Status: os.NewFile(StatusFD, "status"), Ready: os.NewFile(ReadyFD, "ready"),
	}, nil
}

// Run is the life of the process that stays: it opens what it needs, tells init, waits until the system's init runs, empties the
// root file system root, and gives the files below dir away until ctx ends, if the plan says so. It returns an error if it can't
// give away; the system runs all the same.
func Run(ctx context.Context, d Descriptors, dir, root string, log func(format string, args ...any)) error {
	// SIGTERM, which inits other than systemd send everybody at the end, ends the process at once, as it does by default.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	plan, err := readPlan(d.Status)
	var giver *Giver
	if err == nil && plan.Give {
		if giver, err = New(Config{Plan: plan, Dir: dir, Status: d.Status, Group: d.Group, Log: log}); giver != nil {
			defer giver.Close()
		}
	}
	d.Ready.Close()
	switch started, waitErr := waitStarted(d.Started); {
	case waitErr != nil:
		return errors.Join(err, waitErr)
	case !started:
		return err // init says itself why
	}
	if rootErr := removeRoot(root); rootErr != nil {
		log("the memory of the initramfs is not free: %v", rootErr)
	}
	switch {
	case err != nil:
		return err
	case giver == nil:
		return writeAt(d.Status, StatusName, Status{
			System: plan.System.Name, Title: plan.System.Title, InfoHash: plan.System.InfoHash, State: Off,
			Since: time.Now().UTC().Truncate(time.Second), Seeder: plan.Seeder,
		})
	}
	debug.FreeOSMemory()
	giver.Run(ctx)
	return nil
}

// waitStarted waits until the system's init runs, and reports whether it does.
func waitStarted(started *os.File) (bool, error) {
	defer started.Close()
	n, err := started.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("wait for the system's init: %w", err)
	}
	return n == 0, nil
}

// readPlan reads what boot wrote.
func readPlan(dir *os.File) (p Plan, err error) {
	fd, err := unix.Openat(int(dir.Fd()), PlanName, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, &os.PathError{Op: "openat", Path: PlanName, Err: err}
	}
	f := os.NewFile(uintptr(fd), PlanName)
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxPlan)).Decode(&p); err != nil {
		return p, fmt.Errorf("the plan in %s: %w", PlanName, err)
	}
	return p, nil
}
