package hardware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// listen returns the modalias of every device that appears from now on, from the kernel's uevents
// (netlink(7), NETLINK_KOBJECT_UEVENT), until ctx ends. An empty one means that some were missed.
func listen(ctx context.Context) (<-chan string, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listen for new devices: socket: %w", err)
	}
	// Group 1 is the kernel's own messages; udev, which isn't here, would speak in group 2.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen for new devices: bind: %w", err)
	}
	// Hundreds of devices may appear while modules load; ENOBUFS below is the net under it.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	f := os.NewFile(uintptr(fd), "uevent")
	context.AfterFunc(ctx, func() { f.Close() })
	events := make(chan string)
	go func() {
		defer close(events)
		buf := make([]byte, 8192)
		for {
			n, err := f.Read(buf)
			modalias, relevant := addedModalias(buf[:max(n, 0)])
			switch {
			case errors.Is(err, unix.ENOBUFS):
				modalias = ""
			case err != nil:
				return
			case !relevant:
				continue
			}
			select {
			case events <- modalias:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

// addedModalias reads one uevent: "ACTION@DEVPATH", then KEY=VALUE, each ended by a zero byte.
func addedModalias(message []byte) (modalias string, ok bool) {
	if !bytes.HasPrefix(message, []byte("add@")) {
		return "", false
	}
	for field := range bytes.SplitSeq(message, []byte{0}) {
		if value, found := bytes.CutPrefix(field, []byte("MODALIAS=")); found && len(value) > 0 {
			return string(value), true
		}
	}
	return "", false
}

// poll asks every second to look everywhere.
func poll(ctx context.Context) <-chan string {
	events := make(chan string)
	go func() {
		defer close(events)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			select {
			case events <- "":
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}
