package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/admit"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/pi"
	"github.com/boottorrent/boottorrent/seeder/port"
	"github.com/boottorrent/boottorrent/seeder/tftp"
)

// sockets are the services that have a port, each listening.
type sockets struct {
	http, torrent *movingListener
	engine        *swarm.Engine
	tftp          *tftp.Server
	noTFTP        bool         // its port could not be had
	dhcp          *dhcp.Server // nil: off
}

// listen opens every port, or none, but goes on without those of TFTP and DHCP. So whoever has one is known before systems are hashed, which may take minutes.
func (d *daemon) listen(ctx context.Context) (*sockets, error) {
	s := &sockets{}
	for _, open := range []func() error{
		func() error { return d.listenHTTP(s) },
		func() error { return d.listenTorrent(s) },
		func() error { return d.without(d.listenTFTP(s)) },
		func() error { return d.without(d.listenDHCP(ctx, s)) },
	} {
		if err := open(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// close closes what is open. Services that have run have closed theirs already.
func (s *sockets) close() {
	for _, l := range []*movingListener{s.http, s.torrent} {
		if l != nil {
			l.Close()
		}
	}
	if s.engine != nil {
		s.engine.Close()
	}
	if s.tftp != nil {
		s.tftp.Close()
	}
	if s.dhcp != nil {
		s.dhcp.Close()
	}
}

func (d *daemon) listenHTTP(s *sockets) error {
	s.http = newMovingListener(d.Site.Ports.HTTP)
	if at, err := s.http.move(addresses(d.interfaces())); err != nil {
		return listenError("HTTP", d.Site.Where("ports.http"), at, err)
	}
	return nil
}

// torrentConnections is how many connections to the seed may be open, before and after they have said what they want: four torrents
// with as many peers as each may have. Of more, those of the address that has the most are closed, the silent ones first. HTTP has
// three quarters of the descriptors, so these get an eighth at most.
func torrentConnections() int { return min(2048, admit.MaxConnections()/6) }

func (d *daemon) listenTorrent(s *sockets) error {
	s.torrent = newMovingListener(d.Site.Ports.Torrent)
	at, err := s.torrent.move(addresses(d.interfaces()))
	if err == nil {
		s.engine, err = swarm.New(swarm.Config{Listener: s.torrent, MaxInbound: torrentConnections(), UploadLimit: d.Site.Limits.Seeder, Log: d.Log})
	}
	if err != nil {
		return listenError("BitTorrent", d.Site.Where("ports.torrent"), at, err)
	}
	return nil
}

func (d *daemon) listenTFTP(s *sockets) error {
	cfg := tftp.Config{Listen: d.tftpAddresses(d.interfaces()), Files: d.tftpFiles, Open: d.tftpOpen, Document: d.tftpDocument, Probed: d.pis().Probed, Observe: func(o tftp.Outcome, bytes int64) { d.metrics.TFTP(string(o), bytes) }, Log: d.Log}
	s.tftp = tftp.New(cfg)
	if err := s.tftp.Listen(); err != nil {
		cfg.Listen, s.noTFTP = nil, true
		s.tftp = tftp.New(cfg)
		return listenError("TFTP", d.Site.Where("ports.tftp"), netip.AddrPort{}, err)
	}
	return nil
}

// pis are the files for Raspberry Pis.
func (d *daemon) pis() pi.Files { return pi.Files{Dir: d.Site.Dir, HTTPPort: d.Site.Ports.HTTP} }

// tftpAddresses are where TFTP is served on interfaces.
func (d *daemon) tftpAddresses(on []Interface) (addrs []netip.AddrPort) {
	if d.Site.Ports.TFTP == 0 {
		return nil
	}
	for _, a := range addresses(on) {
		addrs = append(addrs, netip.AddrPortFrom(a, d.Site.Ports.TFTP))
	}
	return addrs
}

func (d *daemon) listenDHCP(ctx context.Context, s *sockets) (err error) {
	if d.Site.DHCP.Mode == site.DHCPOff {
		return nil
	}
	cfg := dhcp.Config{
		Site: d.Site.DHCP, Leases: filepath.Join(d.state, "leases.db"), Log: d.Log,
		Observe:    func(message string, o dhcp.Outcome) { d.metrics.DHCP(message, string(o)) },
		Boot:       dhcp.Boot{HTTPPort: d.Site.Ports.HTTP, NoTFTP: d.Site.Ports.TFTP == 0, Choose: d.choose, Pi: d.pis().There},
		Interfaces: dhcpInterfaces(d.interfaces()),
	}
	server, err := dhcp.New(cfg)
	if err != nil {
		return err
	}
	if err := server.Listen(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	s.dhcp = server
	return nil
}

// without goes on without a service that could not be had, as machines that don't need it can boot all the same: from a stick, by UEFI
// HTTP boot, with another DHCP server. The self-test says so for as long as the seeder runs. Missing rights are a mistake in how
// the seeder was started, and end it.
func (d *daemon) without(err error) error {
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return err
	}
	d.lost = append(d.lost, err)
	return nil
}

// listenError adds to the error of opening a TCP port what to do; where is the key that sets it, see site.Where. Without an address
// the error says already who has the port and what to do about it.
func listenError(service, where string, at netip.AddrPort, err error) error {
	if errors.Is(err, port.ErrInUse) {
		if at.IsValid() {
			err = port.Explain(err, "tcp", at, func(p *port.Process) string { return p.Stop() + ", or set another one with " + where })
		}
		return fmt.Errorf("%s: %w", service, err)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op // it says all that what is around it says
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE (capabilities(7)), "+
			"others can be set with %s", service, err, where)
	}
	return fmt.Errorf("%s: %w", service, err)
}
