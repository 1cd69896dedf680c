// Package lab is a room of computers in one machine, for tests and demonstrations: a switch, cables that have a speed,
// hosts (processes in a network of their own) and nodes (machines with firmware, in QEMU) whose consoles can be read
// and typed at.
//
// In goes a description of a few lines; out come transcripts, screens and exit states to make assertions about:
//
//	room := lab.ForTest(t)
//	seeder, err := room.Host("seeder", lab.Addr("10.77.0.1/16"), lab.Rate(100e6))
//	server, err := seeder.Start(ctx, "seeder", "serve", dir)
//	node, err := room.Node(lab.NodeConfig{Name: "n1", MemoryMiB: 1024})
//	_, err = node.Console().ExpectScreen(ctx, `Debian installer`)
//	err = node.Console().Send(lab.Down + lab.Enter)
//	err = node.SavePNG(ctx, "n1.png")
//
// # Wiring
//
// The switch is a bridge without spanning tree in a network namespace of its own. A cable is one veth pair between the
// switch and the namespace of a host or node; a token bucket (tc-tbf(8)) at each end gives it its speed, one for each
// direction, with the queue of a small switch (256 KiB). A node's namespace bridges the cable to the tap device that is
// QEMU's end of its network card, so hosts and nodes are shaped by the same thing. A cable that loses or delays frames, or
// ends at a tagged port, is a pair of tap devices with this process in between.
//
//	 switch namespace          host's namespace
//	┌────────────────┐ cable  ┌───────────────────────────────┐
//	│ bridge ── p1 ──┼────────┼── eth0  10.77.0.1/16          │
//	│           p2 ──┼────────┼── eth0 ── bridge ── tap0 QEMU │
//	└────────────────┘        └───────────────────────────────┘
//
// A room has one switch and may have more ([Room.Switch]); a router ([Room.Router]) forwards packets between them, and counts them.
//
// TCP uses cubic inside hosts, whatever the machine's default is, so that measurements can be compared. IPv6 is off.
//
// # Nodes
//
// A node has a serial console (the firmware's output included: SeaBIOS is told to use it, OVMF does by itself), a VGA
// screen with a keyboard, network cards, and disks if wanted. It is a PC, or an arm64 server, which is always emulated. It
// starts its own kernel directly, or boots from disk, or from the network by BIOS or UEFI. [Room.Accelerator] says which accelerator QEMU was given and why.
//
// # Living together
//
// Everything is named after the process and a number (btlab-PID-NUMBER-…), so rooms do not collide; [Room.Close] removes all of
// it, and [New] removes what rooms of dead processes left behind, processes in their namespaces included. It needs
// root, iproute2 and, for nodes, qemu-system-x86 (and ovmf for UEFI), or qemu-system-arm and qemu-efi-aarch64. The text of
// every console and process is kept in the directory given with [LogDir].
package lab
