package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kea is a DHCP server of the ISC on a host, with its control agent.
type Kea struct {
	Server, Agent *Process
}

// StartKea runs Kea's DHCPv4 server on a host, and the control agent if agent isn't empty. Server and agent are the texts of their
// configuration files, in which /run/kea and /var/lib/kea stand for folders of this server alone.
func StartKea(ctx context.Context, h *Host, server, agent string) (*Kea, error) {
	dir, err := os.MkdirTemp(h.room.dir, "kea-")
	if err != nil {
		return nil, err
	}
	start := func(program, config string) (*Process, error) {
		path := filepath.Join(dir, program+".conf")
		config = strings.NewReplacer("/run/kea", dir, "/var/lib/kea", dir).Replace(config)
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			return nil, err
		}
		return h.Start(ctx, "env", "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir, "KEA_LOGGER_DESTINATION=stdout", program, "-c", path)
	}
	k := &Kea{}
	if k.Server, err = start("kea-dhcp4", server); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := k.Server.Expect(limited, `DHCP4_STARTED`); err != nil {
		return nil, fmt.Errorf("kea on %s: %w", h.Name, errors.Join(err, k.Kill()))
	}
	if agent == "" {
		return k, nil
	}
	if k.Agent, err = start("kea-ctrl-agent", agent); err != nil {
		return nil, fmt.Errorf("kea on %s: %w", h.Name, errors.Join(err, k.Kill()))
	}
	return k, nil
}

// Kill ends server and agent at once, as when their machine loses its power.
func (k *Kea) Kill() error {
	var errs []error
	for _, p := range []*Process{k.Server, k.Agent} {
		if p != nil {
			errs = append(errs, p.Kill())
		}
	}
	return errors.Join(errs...)
}

// Kill ends the process with a SIGKILL, which it can't prepare for, and returns when it has ended.
func (p *Process) Kill() error {
	err := unix.Kill(p.Pid(), unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	<-p.done
	return err
}
