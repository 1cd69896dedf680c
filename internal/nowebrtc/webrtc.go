// Package webrtc stands in for github.com/pion/webrtc/v4, which anacrolix/torrent imports for WebTorrent: peers in
// browsers. A room has none (torrent.ClientConfig.DisableWebtorrent), and the real package and what it stands on are a
// tenth of the program that every node loads. Every peer connection asked for here is refused.
package webrtc

import (
	"errors"

	"github.com/pion/datachannel"
	"github.com/pion/logging"
)

// ErrDisabled is what every constructor returns.
var ErrDisabled = errors.New("WebRTC is not part of this build; set DisableWebtorrent")

// The types below have what the library's source names of them. Nothing makes one that works.
type (
	// API makes peer connections.
	API struct{}
	// SettingEngine configures an API.
	SettingEngine struct{ LoggerFactory logging.LoggerFactory }
	// Configuration configures a peer connection.
	Configuration struct{ ICEServers []ICEServer }
	// ICEServer is a STUN or TURN server.
	ICEServer struct {
		URLs       []string `json:"urls"`
		Username   string   `json:"username,omitempty"`
		Credential any      `json:"credential,omitempty"`
	}
	// SessionDescription is an offer or an answer.
	SessionDescription struct {
		Type SDPType `json:"type"`
		SDP  string  `json:"sdp"`
	}
	// SDPType says which of them.
	SDPType int
	// StatsReport is empty.
	StatsReport map[string]any
	// ICECandidate is an address of a peer.
	ICECandidate struct {
		Address string
		Port    uint16
	}
	// ICECandidatePair is a connection's two ends.
	ICECandidatePair struct{ Local, Remote *ICECandidate }
	// PeerConnectionState is how a connection fares.
	PeerConnectionState int
	// DataChannelState is how a data channel fares.
	DataChannelState int
	// PeerConnection is a connection to a browser.
	PeerConnection struct{}
	// DataChannel is a stream in it.
	DataChannel struct{}
	// SCTPTransport, DTLSTransport and ICETransport are the layers of a connection.
	SCTPTransport struct{}
	DTLSTransport struct{}
	ICETransport  struct{}
	// OfferOptions, AnswerOptions and DataChannelInit say how to begin.
	OfferOptions    struct{}
	AnswerOptions   struct{}
	DataChannelInit struct{}
)

// The one state there is.
const (
	PeerConnectionStateClosed PeerConnectionState = 1
	DataChannelStateClosed    DataChannelState    = 1
)

func (PeerConnectionState) String() string                            { return "disabled" }
func (*SettingEngine) DetachDataChannels()                            {}
func NewAPI(...func(*API)) *API                                       { return &API{} }
func WithSettingEngine(SettingEngine) func(*API)                      { return func(*API) {} }
func (*API) NewPeerConnection(Configuration) (*PeerConnection, error) { return nil, ErrDisabled }
func GatheringCompletePromise(*PeerConnection) <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
func (*PeerConnection) Close() error                                      { return nil }
func (*PeerConnection) OnConnectionStateChange(func(PeerConnectionState)) {}
func (*PeerConnection) ConnectionState() PeerConnectionState              { return PeerConnectionStateClosed }
func (*PeerConnection) SetLocalDescription(SessionDescription) error      { return ErrDisabled }
func (*PeerConnection) SetRemoteDescription(SessionDescription) error     { return ErrDisabled }
func (*PeerConnection) LocalDescription() *SessionDescription             { return &SessionDescription{} }
func (*PeerConnection) CreateDataChannel(string, *DataChannelInit) (*DataChannel, error) {
	return nil, ErrDisabled
}
func (*PeerConnection) CreateOffer(*OfferOptions) (SessionDescription, error) {
	return SessionDescription{}, ErrDisabled
}
func (*PeerConnection) CreateAnswer(*AnswerOptions) (SessionDescription, error) {
	return SessionDescription{}, ErrDisabled
}
func (*PeerConnection) OnDataChannel(func(*DataChannel))                   {}
func (*PeerConnection) GetStats() StatsReport                              { return nil }
func (*PeerConnection) SCTP() *SCTPTransport                               { return nil }
func (*SCTPTransport) Transport() *DTLSTransport                           { return nil }
func (*DTLSTransport) ICETransport() *ICETransport                         { return nil }
func (*ICETransport) GetSelectedCandidatePair() (*ICECandidatePair, error) { return nil, ErrDisabled }
func (*DataChannel) Close() error                                          { return nil }
func (*DataChannel) ReadyState() DataChannelState                          { return DataChannelStateClosed }
func (*DataChannel) OnClose(func())                                        {}
func (*DataChannel) OnOpen(func())                                         {}
func (*DataChannel) Detach() (datachannel.ReadWriteCloser, error)          { return nil, ErrDisabled }
