package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/initramfs/network"
)

// state is what the commands that take single steps by hand go on from.
type state struct {
	Lease  network.Lease `json:"lease"`
	Seeder string        `json:"seeder"`
}

// save writes the state down, once a seeder is known.
func (n *Node) save() error {
	base := n.session.Base()
	if base == "" {
		return nil
	}
	n.saving.Lock()
	defer n.saving.Unlock()
	b, err := json.MarshalIndent(state{Lease: n.link.lease(), Seeder: base}, "", " ")
	if err != nil {
		return fmt.Errorf("write down the node's state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(n.State), 0o755); err != nil {
		return fmt.Errorf("write down the node's state: %w", err)
	}
	if err := os.WriteFile(n.State, b, 0o644); err != nil {
		return fmt.Errorf("write down the node's state: %w", err)
	}
	return nil
}

// saveOrSay is save where nobody waits for its outcome.
func (n *Node) saveOrSay() {
	if err := n.save(); err != nil {
		n.Log("%v", err)
	}
}

// Resume takes up the network and the seeder that an earlier step found, for a command run by hand.
func (n *Node) Resume() error {
	b, err := os.ReadFile(n.State)
	if err != nil {
		return fmt.Errorf("no network yet: run netup first (%w)", err)
	}
	var s state
	err = json.Unmarshal(b, &s)
	if err == nil && (s.Seeder == "" || !s.Lease.Addr.IsValid()) {
		err = errors.New("it lacks the seeder or the address")
	}
	if err != nil {
		return fmt.Errorf("%s: %w; run netup again", n.State, err)
	}
	n.link.setLease(s.Lease)
	n.session.Use(s.Seeder)
	return nil
}
