package node

import (
	"context"
	"os"
	"os/exec"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/remote"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/initramfs/ship"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

const (
	// sshProgram is the SSH server, see cmds/sshd.
	sshProgram = "/bbin/sshd"
	// sshFirst and sshMost bound the pause before it is started again. The longest is for a boot that somebody runs by hand
	// while the port is another's.
	sshFirst = 5 * time.Second
	sshMost  = 5 * time.Minute
	// flushTime is how long the last lines of the log may take to get to the seeder.
	flushTime = time.Second
)

// newShipper returns what sends the node's log to the seeder; nil, with the reason in the log, if that can't be read.
func newShipper(r *report.Reporter, log func(format string, args ...any)) *ship.Shipper {
	reader, err := kmsg.OpenReader()
	if err != nil {
		log("the seeder will not get this node's log: %v", err)
		return nil
	}
	return ship.New(reader, func() (boot, mac string) {
		s := r.Snapshot()
		return s.Boot, s.MAC
	})
}

// ship sends the log to the seeder until ctx ends or stopShipping is called.
func (n *Node) ship(ctx context.Context) {
	if n.Shipper == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Shipper.Run(ctx, seeders.Poster{Seeders: n.session.Seeders})
	}()
	n.stopShipping = func() {
		cancel()
		<-ended
	}
}

// Flush sends the last lines of the log: after a jump into another kernel, or the end of the program, nothing is sent.
func (n *Node) Flush(ctx context.Context) {
	if n.Shipper == nil || n.session.Silent() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	n.Shipper.Flush(ctx)
}

// ServeSSH lets those in whose keys are in the image, or are named by the site's rules, until ctx ends; it waits until there are any. The server is a process
// of its own: what happens to it does not happen to the boot, and the other way round.
func (n *Node) ServeSSH(ctx context.Context) {
	if len(n.Image.SSHKeys) == 0 {
		select {
		case <-n.keys.some:
		case <-ctx.Done():
			return
		}
	}
	host, err := remote.HostKey(remote.HostKeyFile)
	if err != nil {
		n.Log("nobody can log in: %v", err)
		return
	}
	fingerprint := ssh.FingerprintSHA256(host.PublicKey())
	n.Report.Set(func(r *wire.Report) { r.HostKey = fingerprint })
	n.Log("SSH server: host key %s, %d key(s) of the image may log in", fingerprint, len(n.Image.SSHKeys))
	for pause := sshFirst; ctx.Err() == nil; pause = min(2*pause, sshMost) {
		began := time.Now()
		cmd := exec.CommandContext(ctx, sshProgram)
		cmd.Stderr, cmd.Env = lineWriter(n.link.say), os.Environ()
		err := cmd.Run()
		if time.Since(began) > sshMost {
			pause = sshFirst
		}
		if ctx.Err() == nil {
			n.Log("the SSH server ended (%v); it is started again in %s", err, pause)
			sleep(ctx, pause)
		}
	}
}
