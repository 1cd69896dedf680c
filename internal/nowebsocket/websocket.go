// Package websocket stands in for github.com/coder/websocket, by which github.com/anacrolix/torrent speaks to trackers of WebTorrent,
// which a room has none of (torrent.ClientConfig.DisableWebtorrent). No connection is made.
package websocket

import (
	"context"
	"errors"
	"net/http"
)

// ErrDisabled is what Dial returns.
var ErrDisabled = errors.New("WebSockets are not part of this build; set DisableWebtorrent")

// DialOptions are options of the real package.
type DialOptions struct {
	HTTPClient *http.Client
	HTTPHeader http.Header
}

// MessageType is text or binary.
type MessageType int

// MessageText is text.
const MessageText MessageType = 1

// Conn is a connection. Nothing makes one.
type Conn struct{}

// Dial fails.
func Dial(context.Context, string, *DialOptions) (*Conn, *http.Response, error) {
	return nil, nil, ErrDisabled
}

func (*Conn) Read(context.Context) (MessageType, []byte, error) { return 0, nil, ErrDisabled }
func (*Conn) Write(context.Context, MessageType, []byte) error  { return ErrDisabled }
func (*Conn) SetReadLimit(int64)                                {}
func (*Conn) Ping(context.Context) error                        { return ErrDisabled }
func (*Conn) CloseNow() error                                   { return nil }
