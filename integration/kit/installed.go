package kit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

//go:embed installed.sh
var startInstalled []byte

// Machine is a Debian that runs on a host of a room, with its own systemd, and shares the kernel with this machine.
type Machine struct {
	// Root is its root file system, as this machine sees it. What is written to it is gone when it has ended.
	Root string
	*lab.Process
	pid string
}

// StartMachine starts one of an image of a root file system (squashfs), in the folder dir. close ends it and takes the folder's mounts away.
func StartMachine(ctx context.Context, host *lab.Host, squashfs, dir string) (m *Machine, close func() error, err error) {
	m = &Machine{Root: filepath.Join(dir, "root")}
	close = func() error {
		if m.Process != nil {
			m.Stop()
		}
		var all error
		for _, mounted := range []string{m.Root, filepath.Join(dir, "written"), filepath.Join(dir, "lower")} {
			all = errors.Join(all, exec.Command("umount", "--recursive", "--lazy", mounted).Run())
		}
		return all
	}
	defer func() {
		if err != nil {
			close()
		}
	}()
	lower, written := filepath.Join(dir, "lower"), filepath.Join(dir, "written")
	for _, d := range []string{m.Root, lower, written} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, nil, err
		}
	}
	mount := fmt.Sprintf(`set -e; mount -t squashfs -o loop,ro %[1]q %[2]q; mount -t tmpfs tmpfs %[3]q; mkdir %[3]q/upper %[3]q/work
		mount -t overlay -o lowerdir=%[2]q,upperdir=%[3]q/upper,workdir=%[3]q/work overlay %[4]q
		echo boottorrent-server >%[4]q/etc/hostname
		# Its address is the room's.
		for unit in systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service; do ln -sf /dev/null %[4]q/etc/systemd/system/$unit; done`, squashfs, lower, written, m.Root)
	if out, err := exec.CommandContext(ctx, "bash", "-c", mount).CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("mount %s: %w\n%s", squashfs, err, out)
	}
	script := filepath.Join(dir, "installed.sh")
	if err := os.WriteFile(script, startInstalled, 0o755); err != nil {
		return nil, nil, err
	}
	if m.Process, err = host.Start(ctx, "bash", script, m.Root); err != nil {
		return nil, nil, err
	}
	if m.pid, err = m.init(ctx); err != nil {
		return nil, nil, err
	}
	for { // "running", or "degraded" where a unit wants hardware that is not there
		out, _ := m.Run(ctx, "systemctl", "is-system-running", "--wait")
		if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
			return m, close, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("systemd does not come up: %w", ctx.Err())
		case <-m.Done():
			return nil, nil, errors.New("systemd has ended: " + m.Tail(20))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// init finds process 1 of the machine: the one of that name in the machine's root.
func (m *Machine) init(ctx context.Context) (string, error) {
	root, err := os.Stat(m.Root)
	if err != nil {
		return "", err
	}
	for {
		roots, err := filepath.Glob("/proc/[0-9]*/root")
		if err != nil {
			return "", err
		}
		for _, link := range roots {
			pid := filepath.Base(filepath.Dir(link))
			name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			if err != nil || string(name) != "systemd\n" {
				continue
			}
			if of, err := os.Stat(link + "/"); err == nil && os.SameFile(of, root) {
				return pid, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-m.Done():
			return "", errors.New("the machine has ended: " + m.Tail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Run runs a command in the machine, as root, and returns what it prints.
func (m *Machine) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", m.pid, "--all", "--root", "--wd", "--",
		"env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// MakePackage makes the Debian package of this source tree for amd64, in dir, and returns its path. It must run inside the source tree.
func MakePackage(ctx context.Context, source, dir string, output io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", source, "deb", "ARCHES=amd64", "DIST="+dir, "RELEASE=devel", "VERSION=1")
	cmd.Stdout, cmd.Stderr = output, output
	return filepath.Join(dir, "boottorrent_1_amd64.deb"), cmd.Run()
}

// Download fetches packages of Debian for this machine into dir, with apt, and installs nothing.
func Download(ctx context.Context, dir string, packages ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download"}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get download %s: %w\n%s", strings.Join(packages, " "), err, out)
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}

// CopyKernel puts the distribution's kernel into the cache that mkimage has in a home folder, which may belong to another machine.
func CopyKernel(ctx context.Context, home string) error {
	if _, err := distribution(ctx, arch.AMD64); err != nil {
		return err
	}
	cache, err := image.DefaultCache()
	if err != nil {
		return err
	}
	there := filepath.Join(home, ".cache/boottorrent/packages")
	if err := os.MkdirAll(there, 0o755); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(cache, "packages", string(arch.AMD64)), there).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy the kernel: %w: %s", err, out)
	}
	return nil
}
