package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/network"
)

// statePath is where the network and the seeder are written down, so that the commands which take single steps by hand
// go on from where the boot is.
const statePath = "/run/boottorrent/state.json"

type state struct {
	Lease  network.Lease `json:"lease"`
	Seeder string        `json:"seeder"`
}

func (n *Node) save() error {
	b, err := json.MarshalIndent(state{Lease: n.lease, Seeder: n.client().Base}, "", " ")
	if err != nil {
		return fmt.Errorf("write down the node's state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(statePath), 0o755); err != nil {
		return fmt.Errorf("write down the node's state: %w", err)
	}
	return os.WriteFile(statePath, b, 0o644)
}

// Resume takes up the network and the seeder that an earlier step found, for a command run by hand.
func (n *Node) Resume(context.Context) error {
	b, err := os.ReadFile(statePath)
	if err != nil {
		return fmt.Errorf("no network yet: run netup first (%w)", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s: %w; run netup again", statePath, err)
	}
	n.lease = s.Lease
	n.found.Store(&client.Client{Base: s.Seeder, Key: n.key})
	return nil
}
