// Package dhcp tells firmware what to boot, and hands out addresses where nobody else does.
//
// It speaks DHCP (RFC 2131, options of RFC 2132, 3004, 3046, 4578 and 6842) and PXE 2.1, in one of two modes:
//
//   - proxy (the default): beside an existing DHCP server. It never hands out an address. A machine that asks for a boot
//     file (vendor class PXEClient or HTTPClient) gets its address from the existing server and, in a second offer, the
//     boot file from here. Requests of anybody else are not answered at all.
//   - server: it is the only DHCP server of its network and hands out the site's range, with the boot file in the same
//     reply.
//
// In goes a packet, out comes the reply or the reason why there is none; that part (handler and pool) does no I/O but
// the database of leases, and has no sockets. Around it, [Server.Serve] reads, probes, sends and logs, for each interface
// on its own: an answer leaves by the interface the request came by, and names this machine's address there.
//
// A request is handled in three steps, each a function with the quirks it knows of in its comments: who asks ([identify]),
// what that firmware boots ([Boot.offer]), and how it is told (handler.proxyReply, handler.addressReply).
//
// BootTorrent's own phase 1 sends a vendor class (option 60) that starts with "BootTorrent". In both modes it is told
// where the seeder is: siaddr is the seeder's address, and the file field and option 67 hold the seeder's base URL,
// http://ADDRESS:PORT without a slash at the end, below which the paths of package catalog are found. In proxy mode that
// comes as an offer of its own without an address (yiaddr 0.0.0.0), beside the offer of the existing server; a client
// that has an address already sends a DHCPINFORM instead and gets a DHCPACK.
//
// # What firmware does wrong, and what is done about it
//
//   - Options 66 and 67 read up to a NUL, so that what follows becomes part of the name: Jetway J7F4, Kontron VX3040, Lenovo T460,
//     Samsung NC10 and others (netbootxyz/netboot.xyz, issue 1198; garybowers/bootimus, pull request 117). Both end in a NUL for a
//     PXEClient (client.textEnd); the TFTP server knows the garbled names besides.
//   - No END option, or zeroes in its place; options in the fields file and sname (option 52): read by internal/dhcpwire.
//   - A DHCPDISCOVER repeated after 0, 4, 12 and 28 s, and port 4011 never asked: UEFI that wants address and boot file in one offer
//     (HP laptops: garybowers/bootimus, issue 77; HP DL380 Gen9: danderson/netboot, issue 43; Dell T430 and T130 with an EDK2 of 2014
//     that drops a proxy's offer: tianocore/edk2, issue 6944). At the third one the log has the way out (handler.explain).
//   - x64 UEFI that calls itself EFI byte code, architecture 9 (isEFI); PXEClients without any architecture (identify).
//   - Raspberry Pis that call themselves PC BIOS (raspberrypi/firmware, issue 871; rpi-eeprom, issue 103), and take only an offer with
//     "Raspberry Pi Boot" in it: pi.go.
//   - Option 97 absent, or 16 bytes without the type in front: it comes back as it was sent, or not at all (Intel cards in Supermicro
//     boards: danderson/pixiecore, issue 21).
//   - A boot item asked for on port 4011 although no menu was offered (the same issue): bootItem.
//   - A proxy's offer with option 43 ignored by some UEFI, one without by BIOS ROMs: bootsDirectly.
//   - Reserved bits of the flags set (an Intel NUC's 0x7f80): only the first bit counts. They come back as they were.
//   - ciaddr of an earlier boot in a DHCPDISCOVER: the answer does not go there (deliver).
//   - A maximum message size (option 57) below the 576 bytes that everybody must take: 576 (encode).
//   - hlen 0, or 16 for the whole field: correctHardwareAddress.
//   - A second server's boot file taken by iPXE itself, so that iPXE starts iPXE for ever: ipxePriority.
//
// What is dropped for a reason that a person can mend is logged with that reason, once in a while.
package dhcp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/logonce"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// Config is what a [Server] needs to know.
type Config struct {
	// Site is the site's part: the mode, and for server mode what to hand out.
	Site site.DHCP
	// Interfaces are where to serve. In server mode each range must lie in the network of at least one of them; those without
	// a range are served in proxy mode. See [Check].
	Interfaces []Interface
	Boot       Boot
	// Leases is the path of the database of leases (bbolt), made if absent. Only server mode needs it.
	Leases string
	// Observe is told of each message its type in lower case, and what became of it. It must return at once. Nil: nobody is told.
	Observe func(message string, outcome Outcome)
	// Log gets a line for each boot request answered and each lease given; nil: slog.Default().
	Log *slog.Logger
}

// Interface is a network interface to serve on.
type Interface struct {
	Name  string
	Index int
	// Addr is this machine's address on it, with the length of the network's prefix.
	Addr netip.Prefix
}

// Boot is what firmware is offered.
type Boot struct {
	// HTTPPort is the port of the seeder's HTTP server; URLs are http://<interface's address>:<HTTPPort>….
	HTTPPort uint16
	// NoTFTP says that there is no TFTP server, so that firmware that boots by TFTP gets nothing but a line in the log.
	NoTFTP bool
	// Choose says which file some firmware gets, or what is missing. It is asked for each machine; nil has none.
	Choose func(loaders.Firmware) (loaders.Choice, error)
	// Pi reports whether the TFTP server has the files for Raspberry Pis. It is asked for each of them; nil has none.
	Pi func() bool
}

// Lease is an address handed out in server mode.
type Lease struct {
	MAC      net.HardwareAddr
	Addr     netip.Addr
	Hostname string
	// Expires is when the machine loses the address; until then nobody else gets it.
	Expires time.Time
}

// Server is the DHCP service of one seeder: New, Listen, Serve, Close.
type Server struct {
	handlers []*handler
	// pools, store and journal are those of server mode: one pool for each range, one database.
	pools   []*pool
	store   *store
	journal *journal
	log     *slog.Logger
	observe func(message string, outcome Outcome)
	limit   logonce.Limiter
	links   links
	// probing are the machines for whom an address is being probed right now.
	mu      sync.Mutex
	probing map[string]bool
}

// probeTimeout is how long an address that is about to be offered is listened for. RFC 2131 names no number; firmware
// waits 4 s for the first offer (PXE 2.1, chapter 2), and a neighbour answers ARP within milliseconds.
const probeTimeout = 500 * time.Millisecond

// New checks the configuration and, in server mode, opens the database of leases. It opens no socket.
func New(cfg Config) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	s := &Server{log: log, observe: cfg.Observe, probing: map[string]bool{}}
	if s.observe == nil {
		s.observe = func(string, Outcome) {}
	}
	switch cfg.Site.Mode {
	case site.DHCPOff:
		return s, nil
	case site.DHCPProxy, site.DHCPServer:
	default:
		return nil, fmt.Errorf("dhcp: unknown mode %q; use proxy, server or off", cfg.Site.Mode)
	}
	for _, f := range Check(cfg.Site, cfg.Interfaces) {
		if f.Fatal {
			return nil, errors.New("dhcp: " + f.String())
		}
	}
	for _, i := range cfg.Interfaces {
		s.handlers = append(s.handlers, &handler{iface: i, boot: cfg.Boot})
	}
	if cfg.Site.Mode == site.DHCPServer {
		if err := s.openPools(cfg); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openPools makes a pool for each range, with what the database knows of it, and gives it to the interfaces of its network.
func (s *Server) openPools(cfg Config) error {
	disk, err := openStore(cfg.Leases, s.log)
	if err != nil {
		return err
	}
	known, err := disk.load()
	if err != nil {
		return errors.Join(err, disk.close())
	}
	var own []netip.Addr
	for _, i := range cfg.Interfaces {
		own = append(own, i.Addr.Addr())
	}
	for _, one := range cfg.Site.Split() {
		home := homes(one, cfg.Interfaces)
		p, err := newPool(one, networkOf(one, home[0]), own, systemClock())
		if err != nil {
			return errors.Join(err, disk.close())
		}
		p.restore(known)
		s.pools = append(s.pools, p)
		for _, h := range s.handlers {
			if len(homes(one, []Interface{h.iface})) > 0 && h.pool == nil {
				h.pool = p
			}
		}
	}
	s.store, s.journal = disk, newJournal(disk.save, s.log)
	s.journal.write(forgotten(known, s.pools), nil)
	return nil
}

// Close closes the sockets and the database of leases. Call it when Serve has returned, or was never called.
func (s *Server) Close() error {
	s.closeLinks()
	if s.store == nil {
		return nil
	}
	s.journal.close()
	return s.store.close()
}
