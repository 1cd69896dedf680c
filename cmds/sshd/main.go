// Sshd is a node's SSH server, for those whose keys are built into the image, or are of the machine's group (ssh_keys in boottorrent.yaml).
//
// Synopsis:
//
//	sshd
//
// Description:
//
// Boot starts it, in a process of its own, when there are keys. It listens on port 22 of all addresses. Its host key is made at
// boot, in /run/boottorrent; the log and the seeder's report have its fingerprint.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/remote"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

func main() {
	if err := serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sshd:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	image, err := config.ReadImage(sitepart.Path)
	if err != nil {
		return err
	}
	host, err := remote.HostKey(remote.HostKeyFile)
	if err != nil {
		return err
	}
	kernel, err := kmsg.Open()
	if err != nil {
		return err
	}
	server, err := remote.New(remote.Config{Keys: image.SSHKeys, KeysFile: remote.KeysFile, HostKey: host, Shell: "/bin/sh", Log: func(format string, args ...any) {
		kernel.Print(kmsg.Debug, fmt.Sprintf(format, args...))
	}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", ":22")
	if err != nil {
		return err
	}
	return server.Serve(ctx, l)
}
