// Package utp stands in for github.com/anacrolix/go-utp, which anacrolix/torrent imports. BootTorrent speaks
// BitTorrent over TCP only: on a LAN uTP's delay-based congestion control gains nothing. Every socket asked for here
// is refused; torrent.ClientConfig.DisableUTP keeps the library from asking.
package utp

import (
	"context"
	"errors"
	"log/slog"
	"net"
)

// Default names the implementation in the library's messages.
const Default = "disabled"

// ErrDisabled is what every constructor returns.
var ErrDisabled = errors.New("uTP is not part of this build; set DisableUTP")

// Option configures a socket.
type Option func()

// WithLogger is accepted and ignored.
func WithLogger(*slog.Logger) Option { return func() {} }

// FirewallCallback decides whether a connection from addr is refused.
type FirewallCallback func(addr net.Addr) bool

// Socket is the interface that the library expects of a uTP socket.
type Socket interface {
	net.PacketConn
	Accept() (net.Conn, error)
	Addr() net.Addr
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	SetFirewallCallback(FirewallCallback)
}

// NewSocket returns ErrDisabled.
func NewSocket(network, addr string, opts ...Option) (Socket, error) { return nil, ErrDisabled }

// NewSocketFromPacketConn returns ErrDisabled.
func NewSocketFromPacketConn(pc net.PacketConn, opts ...Option) (Socket, error) {
	return nil, ErrDisabled
}
