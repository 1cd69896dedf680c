package command

import (
	"context"
	"errors"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/boottorrent/boottorrent/seeder/daemon"
)

// supervised tells systemd, if it has started this process, how it goes (sd_notify(3)). There is no reloading: what changes in a site
// is taken over while it is served, and boottorrent.yaml is read at the start.
type supervised struct{ log *slog.Logger }

func (s supervised) tell(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.log.Warn("systemd is not told how the seeder does", "state", state, "err", err)
	}
}

// serving says that machines can be switched on, and from then until ctx ends keeps the unit's watchdog quiet for as long as the seeder
// answers. WATCHDOG=1 comes twice in the unit's WatchdogSec, as sd_watchdog_enabled(3) recommends.
func (s supervised) serving(ctx context.Context, dir, status string) {
	s.tell(systemd.SdNotifyReady + "\nSTATUS=" + status)
	limit, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("the unit's watchdog is not kept", "err", err)
	}
	if limit <= 0 {
		return
	}
	go func() {
		tick := time.NewTicker(limit / 2)
		defer tick.Stop()
		for {
			if s.answers(ctx, dir, limit/4) {
				s.tell(systemd.SdNotifyWatchdog)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// answers asks the seeder by its own control socket, and so what publishes and what serves whether they still go on. Where there is no
// such socket, as on some file systems, nothing can be judged.
func (s supervised) answers(ctx context.Context, dir string, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := daemon.Control{Dir: dir}.Status(ctx)
	if err == nil || errors.Is(err, daemon.ErrNotRunning) {
		return true
	}
	s.log.Error("the seeder does not answer its own question; if that stays so, systemd starts it again", "within", within, "err", err)
	return false
}

func (s supervised) stopping() { s.tell(systemd.SdNotifyStopping) }
