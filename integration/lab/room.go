package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// runDir holds one directory a room: its lock, whose holder is alive, and its scratch files.
const runDir = "/run/boottorrent-lab"

// prefix starts the names of all network namespaces of all rooms.
const prefix = "btlab-"

// Room is a switch and what is plugged into it. Its methods may be called from several goroutines.
type Room struct {
	name   string
	id     string // of its namespaces: btlab-PID-NUMBER
	dir    string // scratch files, removed by Close
	logDir string
	mtu    int
	lock   *os.File

	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	ports    int // numbers given to ports of the switch
	machines int // numbers given to nodes
	names    map[string]bool
	switches map[string]namespace // the first one's name is empty
	hosts    []*Host
	nodes    []*Node
	procs    []*Process
	logs     map[string]int

	// processor is how long processors have worked for the room's processes; after Close.
	processor time.Duration
}

// Option changes how New makes a room.
type Option func(*Room)

// LogDir keeps the text of every console and process in a directory, which is made if missing. Without it the texts
// are lost when the room is closed.
func LogDir(dir string) Option { return func(r *Room) { r.logDir = dir } }

// MTU sets the largest packet of every cable, in bytes; 1500 if not given. Rooms of many hosts and no nodes need less
// CPU time with 4000.
func MTU(bytes int) Option { return func(r *Room) { r.mtu = bytes } }

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// New makes an empty room: a switch. Nodes and processes end with ctx; [Room.Close] ends them, too, and removes the
// rest. Name is for messages. It needs root.
func New(ctx context.Context, name string, opts ...Option) (*Room, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("lab %s: making network namespaces needs root; run it with sudo", name)
	}
	r := &Room{name: name, mtu: 1500, names: map[string]bool{}, switches: map[string]namespace{}, logs: map[string]int{}}
	for _, o := range opts {
		o(r)
	}
	if err := r.claim(ctx); err != nil {
		return nil, fmt.Errorf("lab %s: %w", name, err)
	}
	r.logDir = cmp.Or(r.logDir, filepath.Join(r.dir, "log"))
	r.ctx, r.cancel = context.WithCancel(ctx)
	if err := r.setUp(); err != nil {
		return nil, errors.Join(fmt.Errorf("lab %s: %w", name, err), r.Close())
	}
	return r, nil
}

func (r *Room) setUp() error {
	if err := os.MkdirAll(r.logDir, 0o755); err != nil {
		return err
	}
	return r.addSwitch("", "switch")
}

// Switch adds a switch to the room, which no cable connects with the others: what is plugged into it is another network. See [Cable] and
// [Room.Router].
func (r *Room) Switch(name string) error {
	if err := r.addSwitch(name, name); err != nil {
		return fmt.Errorf("lab %s: switch %s: %w", r.name, name, err)
	}
	return nil
}

func (r *Room) addSwitch(key, name string) error {
	sw, err := r.namespace(name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.switches[key] = sw
	r.mu.Unlock()
	return sw.ip(r.ctx,
		fmt.Sprintf("link add br0 mtu %d type bridge stp_state 0 mcast_snooping 0", r.mtu),
		"link set br0 up")
}

// claim finds a free name for the room and holds its lock as long as this process lives. On the way it removes what
// dead processes left.
func (r *Room) claim(ctx context.Context) error {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	// One process at a time: a room that is made but not yet locked would look like a leftover.
	all, err := LockFile(filepath.Join(runDir, "lock"))
	if err != nil {
		return err
	}
	defer all.Close()
	if err := removeLeftovers(ctx); err != nil {
		return err
	}
	for i := 0; ; i++ {
		r.id = fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), i)
		r.dir = filepath.Join(runDir, r.id)
		err := os.Mkdir(r.dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		r.lock, err = lockFile(filepath.Join(r.dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
		return err
	}
}

// LockFile opens a file, which is made if it is missing, and waits until no other process has its lock. Closing it unlocks.
func LockFile(path string) (*os.File, error) { return lockFile(path, unix.LOCK_EX) }

// lockFile opens a file and takes its flock(2), which ends with the file descriptor or the process.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// removeLeftovers removes every room whose process has died.
func removeLeftovers(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(runDir, prefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		lock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // its process lives
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, removeNamespaces(ctx, filepath.Base(dir)), os.RemoveAll(dir))
		lock.Close()
	}
	return errors.Join(errs...)
}

// Dir is where the texts of consoles and processes are kept.
func (r *Room) Dir() string { return r.logDir }

// Nodes returns the nodes in the order they were made.
func (r *Room) Nodes() []*Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Node(nil), r.nodes...)
}

// Close switches off every node, ends every process and removes all that the room was made of. It may be called twice.
func (r *Room) Close() error {
	r.cancel()
	r.mu.Lock()
	procs, hosts := r.procs, r.hosts
	r.procs, r.hosts, r.nodes = nil, nil, nil
	r.mu.Unlock()
	for _, p := range procs {
		<-p.Done()
		r.processor += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	}
	for _, h := range hosts {
		h.transport.CloseIdleConnections()
	}
	// The room's own context has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := errors.Join(removeNamespaces(ctx, r.id), os.RemoveAll(r.dir))
	if r.lock != nil {
		r.lock.Close()
	}
	if err != nil {
		return fmt.Errorf("lab %s: close: %w", r.name, err)
	}
	return nil
}

// namespace makes a network namespace for a member of the room, whose name must be free.
func (r *Room) namespace(name string) (namespace, error) {
	if !plainName.MatchString(name) {
		return "", fmt.Errorf("name %q: use up to 31 of a-z, 0-9 and -", name)
	}
	r.mu.Lock()
	taken := r.names[name]
	r.names[name] = true
	r.mu.Unlock()
	if taken {
		return "", fmt.Errorf("the room has a %q already", name)
	}
	return addNamespace(r.ctx, r.id+"-"+name)
}

// logFile makes a file for the text of a member; a second one of the same name is numbered.
func (r *Room) logFile(name string) (*os.File, error) {
	r.mu.Lock()
	r.logs[name]++
	n := r.logs[name]
	r.mu.Unlock()
	if n > 1 {
		name = fmt.Sprintf("%s.%d", name, n)
	}
	return os.Create(filepath.Join(r.logDir, strings.ReplaceAll(name, "/", "_")+".log"))
}
