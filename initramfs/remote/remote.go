// Package remote is a node's SSH server (RFC 4251 to 4254), for help from afar: a root shell for those whose public keys are
// built into the image, and for nobody else.
//
// In go the keys, a host key and a listener; each session runs the node's shell on a terminal of its own, or a command given
// to it. There are no passwords, no forwarding of ports and no transfer of files but what a command does with its input
// and output.
package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// maxSessions is how many people may be there at once.
	maxSessions = 8
	// maxPending is how many connections may be proving at a time who they are, and handshakeTime how long one may take: a person types
	// the passphrase of a key meanwhile. Of more, package quota says which is closed: the oldest of the address that has the most.
	// So strangers take no place of those that have got in, and one machine keeps no other from proving who it is.
	maxPending    = 32
	handshakeTime = 30 * time.Second
	maxTries      = 6
)

// KeysFile is where a node has the keys, lines of authorized_keys, that the site's rules let in beside those of its image.
const KeysFile = "/run/boottorrent/ssh_keys"

// HostKeyFile is where a node has its host key, on a tmpfs: it is of this boot.
const HostKeyFile = "/run/boottorrent/ssh_host_key"

// Config is what a server needs.
type Config struct {
	// Keys are lines of authorized_keys (sshd(8)), without options.
	Keys []string
	// KeysFile has more of them; it is read when somebody logs in. Where it is missing there are none.
	KeysFile string
	// HostKey is the server's, see [HostKey].
	HostKey ssh.Signer
	// Shell is the program that sessions run: with no argument, or with -c COMMAND.
	Shell string
	// Log takes messages; nil: nobody does.
	Log func(format string, args ...any)
}

// HostKey reads the host key in a file, or makes one (Ed25519, RFC 8709) and writes it there, readable for its owner only.
func HostKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		text, err = makeHostKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("the SSH server's host key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("the SSH server's host key %s: %w; remove the file", file, err)
	}
	return key, nil
}

func makeHostKey(file string) ([]byte, error) {
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(secret, "BootTorrent node")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return text, os.WriteFile(file, text, 0o600)
}

// Server is an SSH server.
type Server struct {
	cfg       Config
	ssh       *ssh.ServerConfig
	strangers strangers
}

// New returns a server that listens nowhere yet. Keys that can't be read are an error.
func New(cfg Config) (*Server, error) {
	allowed, err := parseKeys(cfg.Keys)
	if err != nil {
		return nil, fmt.Errorf("%w in this image", err)
	}
	if len(allowed) == 0 && cfg.KeysFile == "" {
		return nil, errors.New("there is no SSH key in this image, so nobody could log in")
	}
	s := &Server{cfg: cfg, ssh: &ssh.ServerConfig{MaxAuthTries: maxTries, ServerVersion: "SSH-2.0-BootTorrent"}}
	s.ssh.PublicKeyCallback = func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, a := range append(allowed[:len(allowed):len(allowed)], s.moreKeys()...) {
			if bytes.Equal(a, key.Marshal()) {
				return &ssh.Permissions{Extensions: map[string]string{"key": ssh.FingerprintSHA256(key)}}, nil
			}
		}
		return nil, errors.New("this key is neither in the image nor one of the machine's group")
	}
	s.ssh.AddHostKey(cfg.HostKey)
	return s, nil
}

// parseKeys reads lines of authorized_keys.
func parseKeys(lines []string) (keys [][]byte, err error) {
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("the SSH key %.60q: %w", line, err)
		}
		keys = append(keys, key.Marshal())
	}
	return keys, nil
}

// moreKeys are those of the file.
func (s *Server) moreKeys() [][]byte {
	if s.cfg.KeysFile == "" {
		return nil
	}
	text, err := os.ReadFile(s.cfg.KeysFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var keys [][]byte
	if err == nil {
		keys, err = parseKeys(slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return l == "" }))
	}
	if err != nil {
		s.logf("ssh: %v in %s; of those there nobody can log in", err, s.cfg.KeysFile)
	}
	return keys
}

func (s *Server) logf(format string, args ...any) {
	if s.cfg.Log != nil {
		s.cfg.Log(format, args...)
	}
}

// Serve answers until ctx ends, which ends all sessions, and returns when they are over. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	in := make(chan struct{}, maxSessions)
	pending := newPending()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			l.Close()
			return fmt.Errorf("SSH: accept on %s: %w", l.Addr(), err)
		}
		arrived := pending.add(conn)
		connections.Go(func() { s.connection(ctx, conn, arrived, in) })
	}
}

// connection serves one connection to its end. Arrived ends its being pending; a place in in is taken when it has proved who it is.
func (s *Server) connection(ctx context.Context, conn net.Conn, arrived func(), in chan struct{}) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	c, channels, requests, err := ssh.NewServerConn(conn, s.ssh)
	arrived()
	if err != nil {
		s.strangers.log(s.logf, conn.RemoteAddr(), err)
		return
	}
	select {
	case in <- struct{}{}:
		defer func() { <-in }()
	default:
		s.logf("ssh: %s is turned away, %d are in already", conn.RemoteAddr(), maxSessions)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	s.logf("ssh: %s is in, by the key %s", conn.RemoteAddr(), c.Permissions.Extensions["key"])
	go ssh.DiscardRequests(requests)
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel() // ends them
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.UnknownChannelType, "there are only sessions here")
			continue
		}
		ch, requests, err := channel.Accept()
		if err != nil {
			continue
		}
		sessions.Go(func() { s.session(ctx, ch, requests) })
	}
	s.logf("ssh: %s has left", conn.RemoteAddr())
}
