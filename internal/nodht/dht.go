// Package dht stands in for github.com/anacrolix/dht/v2, by which github.com/anacrolix/torrent finds peers on the Internet (BEP 5). A
// room has a tracker, and its torrents are nobody else's (torrent.ClientConfig.NoDHT). No server is made. Package krpc beside it works:
// trackers' answers are made of its addresses.
package dht

import (
	"errors"
	"io"
	"net"

	"github.com/anacrolix/log"
	"github.com/anacrolix/torrent/iplist"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/anacrolix/dht/v2/krpc"
)

// ErrDisabled is what NewServer returns.
var ErrDisabled = errors.New("the DHT is not part of this build; set NoDHT")

// The types below have what the library's source names of them. Nothing makes one that works.
type (
	// Addr is the address of a node of the DHT.
	Addr interface{}
	// StartingNodesGetter finds the first nodes.
	StartingNodesGetter func() ([]Addr, error)
	// ServerConfig configures a server.
	ServerConfig struct {
		IPBlocklist    iplist.Ranger
		Conn           net.PacketConn
		OnAnnouncePeer func(infoHash metainfo.Hash, ip net.IP, port int, portOk bool)
		PublicIP       net.IP
		StartingNodes  StartingNodesGetter
		OnQuery        func(query *krpc.Msg, source net.Addr) (propagate bool)
		Logger         log.Logger
	}
	// Server is a node of the DHT.
	Server struct{}
	// Announce is a search for peers.
	Announce struct{ Peers chan PeersValues }
	// PeersValues are peers that were found.
	PeersValues struct{ Peers []krpc.NodeAddr }
	// AnnounceOpt, AnnouncePeerOpts, QueryInput and QueryRateLimiting say how to ask.
	AnnounceOpt      struct{}
	AnnouncePeerOpts struct {
		Port        int
		ImpliedPort bool
	}
	QueryInput        struct{ RateLimiting QueryRateLimiting }
	QueryRateLimiting struct{ NoWaitFirst bool }
	// QueryResult is an answer.
	QueryResult struct{}
)

// NewServer fails.
func NewServer(*ServerConfig) (*Server, error) { return nil, ErrDisabled }

// GlobalBootstrapAddrs fails.
func GlobalBootstrapAddrs(network string) ([]Addr, error) { return nil, ErrDisabled }

// AnnouncePeer says that a node is a peer itself.
func AnnouncePeer(AnnouncePeerOpts) AnnounceOpt { return AnnounceOpt{} }

func (*Server) Close()                                              {}
func (*Server) TableMaintainer()                                    {}
func (*Server) Stats() any                                          { return nil }
func (*Server) ID() [20]byte                                        { return [20]byte{} }
func (*Server) Addr() net.Addr                                      { return nil }
func (*Server) AddNode(krpc.NodeInfo) error                         { return ErrDisabled }
func (*Server) WriteStatus(io.Writer)                               {}
func (*Server) PingQueryInput(*net.UDPAddr, QueryInput) QueryResult { return QueryResult{} }
func (*Server) AnnounceTraversal([20]byte, ...AnnounceOpt) (*Announce, error) {
	return nil, ErrDisabled
}
func (*Announce) Close() {}
