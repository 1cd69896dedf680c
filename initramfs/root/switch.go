package root

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/internal/atomicfile"
)

// Switch says what process 1 has to do to become the system's init.
type Switch struct {
	// System is its name, for messages.
	System string `json:"system"`
	// Stage is where it is mounted; see the package's comment.
	Stage string `json:"stage"`
	// Systems is the mount with the images, Folder the folder in it, relative to it, that holds System/PATH.
	Systems string `json:"systems"`
	Folder  string `json:"folder"`
	// Loops are the loop devices with the images.
	Loops []string `json:"loops"`
	// Init is the absolute path of its init, Args are its arguments beside its name.
	Init string   `json:"init"`
	Args []string `json:"args,omitempty"`
	// Cmdline says that a file is to be laid over /proc/cmdline: what the kernel has there is not the system's.
	Cmdline bool `json:"cmdline"`
	// Hostname is the kernel's until the system sets its own.
	Hostname string `json:"hostname"`
}

// noHostname is what the kernel's host name is before anybody sets it (UTS_NODENAME in Linux's include/linux/uts.h).
const noHostname = "(none)"

func newSwitch(c Config, f found, loops []string) (Switch, error) {
	s := Switch{System: c.Name, Stage: c.Stage, Loops: loops, Init: c.Root.Init, Args: initArguments(c.Cmdline), Hostname: noHostname}
	if name := shortHostname(c.Hostname); name != "" && (c.Named || !f.hostname) {
		s.Hostname = name
	}
	var err error
	if s.Systems, s.Folder, err = imagesMount(c.Dir); err != nil {
		return s, err
	}
	kernel, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return s, fmt.Errorf("read the kernel's command line: %w", err)
	}
	if strings.TrimSpace(string(kernel)) == strings.TrimSpace(c.Cmdline) {
		return s, nil
	}
	s.Cmdline = true
	if err := os.WriteFile(own(c.Stage, "cmdline"), []byte(strings.TrimSpace(c.Cmdline)+"\n"), 0o444); err != nil {
		return s, fmt.Errorf("write its command line: %w", err)
	}
	return s, nil
}

// maxHostname is the most bytes that the kernel takes (__NEW_UTS_LEN in Linux's include/uapi/linux/utsname.h); DHCP may give more.
const maxHostname = 64

// shortHostname is a host name that the kernel takes: of one that is too long, what stands before the domain; empty where that is, too.
func shortHostname(name string) string {
	if len(name) > maxHostname {
		name, _, _ = strings.Cut(name, ".")
	}
	if len(name) > maxHostname {
		return ""
	}
	return name
}

// imagesMount finds the mount that a system's folder is on, and the folder that holds that in it. The kernel tells of a folder whether
// something is mounted on it (statx(2), STATX_ATTR_MOUNT_ROOT; since Linux 5.8).
func imagesMount(dir string) (mount, folder string, err error) {
	parent := filepath.Dir(dir)
	for mount = parent; mount != "/" && mount != "."; mount = filepath.Dir(mount) {
		var st unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, mount, unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st); err != nil {
			return "", "", fmt.Errorf("find the file system that %s is on: %w", dir, err)
		}
		if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
			folder, err = filepath.Rel(mount, parent)
			return mount, folder, err
		}
	}
	there, _ := os.ReadFile("/proc/self/mountinfo")
	return "", "", fmt.Errorf("%s is not on a file system of its own, which could go with the system; mounted are:\n%s", dir, there)
}

// initArguments are the words of a kernel command line that are for init: those behind "--", and what chooses a runlevel (init(8) of
// sysvinit, systemd(1), bootparam(7)). The kernel would pass on everything that it does not know, and no init looks at the rest.
func initArguments(cmdline string) []string {
	words := config.Words(cmdline)
	var args []string
	for i, word := range words {
		switch word {
		case "--":
			return append(args, words[i+1:]...)
		case "single", "s", "S", "-s", "-b", "emergency", "rescue", "auto", "0", "1", "2", "3", "4", "5", "6":
			args = append(args, word)
		}
	}
	return args
}

func (s Switch) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return fmt.Errorf("write down that %s is to be started: %w", s.System, err)
	}
	return nil
}

// ErrNone says that no system is to be started.
var ErrNone = errors.New("boot has prepared no system")

// ReadSwitch reads what boot wishes from a file.
func ReadSwitch(path string) (Switch, error) {
	var s Switch
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, ErrNone
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}
