package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Addresses: the seeder and the relay that stands for the nodes are neighbours, the nodes are behind the relay.
var (
	seederAddr = netip.MustParseAddr("10.77.0.1")
	relayAddr  = netip.MustParseAddr("10.77.0.2")
)

const (
	httpPort, torrentPort = 8080, 6881
	// bootSize is that of the stand-ins for phase 1's kernel and initramfs, systemSize of each system's initrd.
	bootSize, systemSize = 1 << 20, 2 << 20
)

const config = `version: 1
name: soak
serve: {interfaces: [room0]}
default: changing
dhcp: {mode: server, range: {first: 10.77.128.1, last: 10.77.255.254}, lease: 10m}
log: {level: warn}
`

// room is a running seeder with the nodes' side of its network.
type room struct {
	// dir is for what is made once; the site is on disk, which may be smaller.
	dir, disk string
	site      *kit.Site
	seeder    *exec.Cmd
	ended     chan error
	log       *os.File
	key       minisign.PublicKey
	debug     *http.Client
	relay     *relay
}

// newRoom makes the site, in the folder disk or, if that is empty, in one of its own, and the network, starts the seeder, and returns
// when it is ready.
func newRoom(ctx context.Context, disk string) (r *room, err error) {
	r = &room{ended: make(chan error, 1), disk: disk}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "boottorrent-soak-"); err != nil {
		return r, err
	}
	if r.disk == "" {
		r.disk = r.dir
	}
	if err := r.makeSite(ctx); err != nil {
		return r, err
	}
	if err := r.start(ctx); err != nil {
		return r, err
	}
	socket := r.socket()
	r.debug = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}
	if r.relay, err = newRelay(); err != nil {
		return r, err
	}
	return r, r.awaitReady(ctx)
}

func (r *room) socket() string { return filepath.Join(r.dir, "debug") }

// close ends the seeder, and removes everything.
func (r *room) close() {
	if r.seeder != nil {
		_ = r.seeder.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.ended:
		case <-time.After(20 * time.Second):
			_ = r.seeder.Process.Kill()
		}
	}
	if r.relay != nil {
		r.relay.close()
	}
	_ = exec.Command("ip", "link", "del", "nodes0").Run() // it goes with the seeder's namespace, but later
	if r.log != nil {
		r.log.Close()
	}
	_ = os.RemoveAll(r.dir)
}

func (r *room) makeSite(ctx context.Context) error {
	k := &kit.Kit{Seeder: filepath.Join(r.dir, "seeder"), Output: io.Discard}
	build := exec.CommandContext(ctx, "go", "build", "-o", k.Seeder, "github.com/boottorrent/boottorrent/seeder")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", build, err, out)
	}
	var err error
	if r.site, err = k.NewSite(ctx, filepath.Join(r.disk, "site"), "soak"); err != nil {
		return err
	}
	if err := r.site.Configure(config); err != nil {
		return err
	}
	if err := os.MkdirAll(r.site.Path(site.ImageDir), 0o755); err != nil {
		return err
	}
	for _, path := range []string{catalog.PathKernel, catalog.PathInitrd} {
		name := r.site.Path(site.ImageDir, filepath.Base(path))
		if err := os.WriteFile(name, kernel(bootSize, 'k'), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"steady", "changing"} {
		if err := r.writeSystem(name, 0); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(r.site.Path(site.PublicKeyFile))
	if err != nil {
		return err
	}
	return r.key.UnmarshalText(text)
}

// kernel is bytes that pass for a Linux kernel (Documentation/arch/x86/boot.rst).
func kernel(size int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, size)
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS\x0f\x02")
	b[0x211], b[0x234], b[0x236] = 1, 1, 3
	return b
}

// writeSystem makes the n-th version of a system, beside it and then under its name, as the README says.
func (r *room) writeSystem(name string, n int) error {
	folder := r.site.Path(site.SystemsDir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	initrd := bytes.Repeat([]byte(fmt.Sprintf("%s version %8d\n", name, n)), systemSize/32)
	for file, content := range map[string][]byte{
		"vmlinuz": kernel(256<<10, 'v'), "initrd": initrd,
		site.SystemFile: []byte("dispname: " + name + "\nmethod: kexec\nkernel: vmlinuz\ninitrd: initrd\n"),
	} {
		beside := filepath.Join(r.disk, "new")
		if err := os.WriteFile(beside, content, 0o644); err != nil {
			return err
		}
		if old, err := os.ReadFile(filepath.Join(folder, file)); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.Rename(beside, filepath.Join(folder, file)); err != nil {
			return err
		}
	}
	return nil
}

// start starts the seeder in a namespace of its own and lays the cable to it.
func (r *room) start(ctx context.Context) (err error) {
	if r.log, err = os.Create(filepath.Join(r.dir, "seeder.log")); err != nil {
		return err
	}
	// The shell waits for the cable, and becomes the seeder.
	script := fmt.Sprintf("read ready; ip link set lo up; ip addr add %s/16 dev room0; ip link set room0 up; "+
		"ip route add 10.77.128.0/17 via %s; exec %s serve --debug %s %s", seederAddr, relayAddr, r.site.Kit.Seeder, r.socket(), r.site.Dir)
	cmd := exec.Command("sh", "-ec", script)
	cmd.Stdout, cmd.Stderr = r.log, r.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	ready, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.seeder = cmd
	go func() { r.ended <- cmd.Wait() }()
	// Addresses from 10.77.128.0 on are this process's without being any interface's, so ARP for them, by which the seeder finds
	// out whether one is in use, is not answered.
	commands := fmt.Sprintf(`link set lo up
link add nodes0 type veth peer name room0
link set room0 netns %d
addr add %s/16 dev nodes0
link set nodes0 up
route replace local 10.77.128.0/17 dev lo
`, cmd.Process.Pid, relayAddr)
	ip := exec.CommandContext(ctx, "ip", "-batch", "-")
	ip.Stdin = strings.NewReader(commands)
	if out, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, out)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte("1"), 0); err != nil {
		return err
	}
	_, err = io.WriteString(ready, "\n")
	return errors.Join(err, ready.Close())
}

// awaitReady waits for the first catalog.
func (r *room) awaitReady(ctx context.Context) error {
	for {
		resp, err := http.Get("http://" + netip.AddrPortFrom(seederAddr, httpPort).String() + catalog.PathSignature)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-r.ended:
			text, _ := os.ReadFile(r.log.Name())
			return fmt.Errorf("the seeder ended: %w\n%s", err, text)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
