// Package boot measures how long machines need to load phase 1 before they have an operating system: by shim and GRUB, which know
// only TFTP, by the firmware's own TFTP, and by iPXE with HTTP.
//
// A room (integration/lab) has one server with this project's TFTP and HTTP servers, and one machine whose cable has a speed and a
// delay in each direction. The times are what the server sees: from the first request for a file until its last byte was
// acknowledged (TFTP), or until the request that the boot loader sends next (HTTP).
package boot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// chains are the ways to load phase 1, by name: the file that the firmware is offered, and what is awaited in the end.
var chains = map[string]struct{ loader, last string }{
	"grub": {"shimx64.efi", "initramfs.img"},
	"uki":  {"boottorrent.efi", "boottorrent.efi"},
	"http": {"snponly.efi", "done"},
}

// Load is one file on its way.
type Load struct {
	Chain string `json:"chain"`
	File  string `json:"file"`
	// Protocol is tftp or http.
	Protocol string `json:"protocol"`
	Bytes    int64  `json:"bytes"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
}

// Room is what was measured in.
type Room struct {
	// LinkMbit is the speed of the machine's cable, DelayMS how long a frame takes in each direction, Loss the share lost.
	LinkMbit float64 `json:"link_mbit"`
	DelayMS  float64 `json:"delay_ms"`
	Loss     float64 `json:"loss"`
	// Card is QEMU's name of the network card.
	Card string `json:"card"`
}

// Report is one call, as it is kept.
type Report struct {
	Time time.Time `json:"time"`
	Room
	Loads []Load `json:"loads"`
}

// Command is "bench boot ARGS".
func Command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:], out)
	}
	f := flag.NewFlagSet("boot", flag.ContinueOnError)
	image := f.String("image", "", "`folder` with vmlinuz, initramfs.img and boottorrent.efi, as mkimage makes it")
	which := f.String("chains", "http,grub,uki", "what to measure: `names` with commas between")
	link := f.Float64("link", 1000, "the cable's speed in `Mbit`/s; 0: as fast as the machine can")
	delay := f.Duration("delay", time.Millisecond, "how long a frame takes in each direction")
	loss := f.Float64("loss", 0, "the `share` of the frames that is lost in each direction")
	card := f.String("card", "virtio-net-pci", "QEMU's `name` of the network card")
	runs := f.Int("runs", 1, "how often")
	logs := f.String("logs", "", "`folder` to keep the machine's console and the server's words in; empty: nowhere")
	results := f.String("results", "integration/bench/results/boot", "`folder` to keep the figures in; empty: nowhere")
	if err := f.Parse(args); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(*image, "vmlinuz")); err != nil {
		return fmt.Errorf("--image FOLDER must name an image that mkimage made: %w", err)
	}
	r := Report{Time: time.Now().UTC().Truncate(time.Second), Room: Room{*link, delay.Seconds() * 1000, *loss, *card}}
	for range *runs {
		for _, chain := range strings.Split(*which, ",") {
			if _, ok := chains[chain]; !ok {
				return fmt.Errorf("no chain %q: want http, grub or uki", chain)
			}
			loads, err := measure(ctx, r.Room, chain, *image, *logs)
			for _, l := range loads {
				fmt.Fprintf(out, "%-5s %-20s %-4s %9d bytes %8.3f s %7.2f MB/s\n", l.Chain, l.File, l.Protocol, l.Bytes, l.Seconds, float64(l.Bytes)/1e6/l.Seconds)
			}
			if err != nil {
				return err
			}
			r.Loads = append(r.Loads, loads...)
		}
	}
	if *results == "" {
		return nil
	}
	_, err := kept.Write(*results, kind, r.Time, r)
	return err
}

// bootTime is how long a machine may take from power on until it has loaded phase 1.
const bootTime = 10 * time.Minute

// seederAddr is the server's address.
const seederAddr = "10.78.0.1"

// measure boots one machine.
func measure(ctx context.Context, in Room, chain, image, logs string) (loads []Load, err error) {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	var options []lab.Option
	if logs != "" {
		options = append(options, lab.LogDir(logs))
	}
	room, err := lab.New(ctx, "boot", options...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	seeder, err := room.Host("seeder", lab.Addr(seederAddr+"/24"))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, err := seeder.Start(ctx, self, "boot", "serve", chain, image)
	if err != nil {
		return nil, err
	}
	if _, err := server.Expect(ctx, `ready\n`); err != nil {
		return nil, err
	}
	if _, err := lab.Dnsmasq(ctx, seeder, "--dhcp-range=10.78.0.10,10.78.0.20,1h", "--dhcp-no-override", "--dhcp-userclass=set:ipxe,iPXE",
		"--dhcp-boot=tag:ipxe,http://"+seederAddr+"/boot/boot.ipxe", "--dhcp-boot=tag:!ipxe,"+chains[chain].loader+",,"+seederAddr); err != nil {
		return nil, err
	}
	cable := lab.Cable{Down: in.LinkMbit * 1e6, Up: in.LinkMbit * 1e6, Delay: time.Duration(in.DelayMS * float64(time.Millisecond)), Loss: in.Loss}
	node, err := room.Node(lab.NodeConfig{
		Name: "node", Firmware: lab.UEFI, NoReboot: true, NICs: []lab.NIC{{Model: in.Card, Cable: cable, ROM: "none"}},
	})
	if err != nil {
		return nil, err
	}
	for {
		match, err := server.Expect(ctx, `load (\S+) (\S+) (\d+) (\S+)\n`)
		if err != nil {
			return loads, fmt.Errorf("%s: %w; the machine's console ends with:\n%s", chain, err, node.Console().Tail(30))
		}
		l := Load{Chain: chain, Protocol: match[1], File: match[2]}
		if _, err := fmt.Sscan(match[3]+" "+match[4], &l.Bytes, &l.Seconds); err != nil {
			return loads, err
		}
		if l.File != "done" {
			loads = append(loads, l)
		}
		if l.File == chains[chain].last {
			return loads, nil
		}
	}
}

// fileName is the last part of what was asked for.
func fileName(asked string) string {
	parts := strings.Split(asked, "/")
	return parts[len(parts)-1]
}
