package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A relayed cable is two tap devices, one at each end, and this process between them, which does to frames what no
// queueing discipline of this kernel can (there is no netem): lose them, delay them, and tag them.

const (
	// frameSize is above any frame: the largest MTU of a tap device with its Ethernet header and a tag.
	frameSize = 65535 + 18
	// onTheWay is how many frames a delaying cable holds in each direction; more are lost, as in a router's queue.
	onTheWay = 4096
	// tagSize is that of an IEEE 802.1Q tag, which stands behind the two addresses.
	tagSize, tagAt = 4, 12
	tagProtocol    = 0x8100
)

// relayed reports whether the cable needs this process.
func (c Cable) relayed() bool { return c.Loss > 0 || c.Delay > 0 || c.VLAN > 0 }

// relay makes the devices of a port, in its switch's namespace, and far, and passes frames between them until the room is
// closed.
func (r *Room) relay(near port, ns namespace, far string, c Cable) error {
	if c.Loss < 0 || c.Loss >= 1 || c.VLAN < 0 || c.VLAN > 4094 {
		return fmt.Errorf("cable to %s: loss %v, VLAN %d: want a loss from 0 to below 1 and a VLAN up to 4094", ns, c.Loss, c.VLAN)
	}
	a, err := openTap(near.sw, near.name)
	if err != nil {
		return err
	}
	b, err := openTap(ns, far)
	if err != nil {
		a.Close()
		return err
	}
	context.AfterFunc(r.ctx, func() { // which ends the reads
		a.Close()
		b.Close()
	})
	for i, way := range []struct {
		from, to *os.File
		change   func([]byte) []byte
	}{{a, b, tagger(c.VLAN)}, {b, a, untagger(c.VLAN)}} {
		// Each cable loses the same frames each time, as far as the same are sent.
		dice := rand.New(rand.NewPCG(uint64(len(far)), uint64(i)))
		go pass(way.from, way.to, way.change, c, dice)
	}
	return nil
}

// openTap makes a tap device in a namespace; each Read and Write of the file is an Ethernet frame (Linux's
// Documentation/networking/tuntap.rst). The device goes when the file is closed.
func openTap(ns namespace, name string) (tap *os.File, err error) {
	err = ns.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("open /dev/net/tun", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("tap device %s in %s: %w", name, ns, err)
		}
		tap = os.NewFile(uintptr(fd), name) // which polls it, as it does not block
		return nil
	})
	return tap, err
}

// frame is one on its way, to arrive at due.
type frame struct {
	data []byte
	due  time.Time
}

// pass carries frames one way until from is closed.
func pass(from, to *os.File, change func([]byte) []byte, c Cable, dice *rand.Rand) {
	queue := make(chan frame, onTheWay)
	defer close(queue)
	go func() {
		for f := range queue {
			time.Sleep(time.Until(f.due))
			_, _ = to.Write(f.data) // fails while the other end is down: the frame is lost
		}
	}()
	buf := make([]byte, frameSize)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		data := change(buf[:n])
		if data == nil || dice.Float64() < c.Loss {
			continue
		}
		select {
		case queue <- frame{data, time.Now().Add(c.Delay)}:
		default:
		}
	}
}

// tagger returns what makes a copy of a frame, tagged for a VLAN unless that is 0.
func tagger(vlan int) func([]byte) []byte {
	return func(data []byte) []byte {
		if vlan == 0 || len(data) < tagAt {
			return append([]byte(nil), data...)
		}
		out := make([]byte, 0, len(data)+tagSize)
		out = append(out, data[:tagAt]...)
		out = binary.BigEndian.AppendUint16(out, tagProtocol)
		out = binary.BigEndian.AppendUint16(out, uint16(vlan))
		return append(out, data[tagAt:]...)
	}
}

// untagger returns what makes a copy of a frame without its tag; nil if it is not of the VLAN, unless that is 0.
func untagger(vlan int) func([]byte) []byte {
	return func(data []byte) []byte {
		if vlan == 0 {
			return append([]byte(nil), data...)
		}
		if len(data) < tagAt+tagSize || binary.BigEndian.Uint16(data[tagAt:]) != tagProtocol ||
			int(binary.BigEndian.Uint16(data[tagAt+2:])&0xfff) != vlan {
			return nil
		}
		return append(append([]byte(nil), data[:tagAt]...), data[tagAt+tagSize:]...)
	}
}
