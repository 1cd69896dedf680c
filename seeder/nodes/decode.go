package nodes

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/boottorrent/boottorrent/internal/report"
)

// decode reads and checks one report. What people will read is made safe to show on a terminal; what programs depend on
// (MAC, step, state, numbers) is refused when it makes no sense.
func decode(body io.Reader) (report.Report, error) {
	var rep report.Report
	if err := json.NewDecoder(body).Decode(&rep); err != nil {
		return report.Report{}, fmt.Errorf("a report is a JSON object: %w", err)
	}
	mac, err := net.ParseMAC(rep.MAC)
	if err != nil || len(mac) != 6 {
		return report.Report{}, fmt.Errorf("mac %q is not of the form aa:bb:cc:dd:ee:ff", rep.MAC)
	}
	rep.MAC = mac.String()
	if !slices.Contains(report.Steps, rep.Step) {
		return report.Report{}, fmt.Errorf("step %q is none of %v", rep.Step, report.Steps)
	}
	if states := []report.State{report.Running, report.Done, report.Failed}; !slices.Contains(states, rep.State) {
		return report.Report{}, fmt.Errorf("state %q is none of %v", rep.State, states)
	}
	if err := checkNumbers(&rep); err != nil {
		return report.Report{}, err
	}
	// An address that is none would only mislead: better the one the report came from.
	if ip, err := netip.ParseAddr(rep.IP); err == nil {
		rep.IP = ip.Unmap().WithZone("").String()
	} else {
		rep.IP = ""
	}
	for s, limit := range map[*string]int{
		&rep.Boot: 64, &rep.UUID: 64, &rep.Name: 253, &rep.Arch: 16, &rep.Error: 1000, &rep.System: 255, &rep.InfoHash: 40,
	} {
		*s = printable(*s, limit)
	}
	rep.HostKey = printable(rep.HostKey, 64)
	rep.Banned = slices.Clone(rep.Banned[:min(len(rep.Banned), report.BannedPeers)])
	for i, a := range rep.Banned {
		rep.Banned[i] = a.Unmap().WithZone("")
	}
	return rep, decodeExit(rep.Exit)
}

// decodeExit checks how a system is said to have ended; nil is none.
func decodeExit(e *report.Exit) error {
	if e == nil {
		return nil
	}
	if e.Code < 0 || e.Code > 255 {
		return fmt.Errorf("exit: code %d, want 0 to 255", e.Code)
	}
	if !sensible(e.At) {
		return fmt.Errorf("exit: at is %v, want a number that isn't negative", e.At)
	}
	e.System, e.Reason = printable(e.System, 255), printable(e.Reason, 1000)
	e.Lines = e.Lines[max(0, len(e.Lines)-report.ExitLines):]
	for i, line := range e.Lines {
		e.Lines[i] = printable(line, report.ExitWidth)
	}
	return nil
}

func checkNumbers(rep *report.Report) error {
	for name, n := range map[string]float64{
		"memory_mib": float64(rep.MemoryMiB), "size": float64(rep.Size), "done": float64(rep.Done), "down": float64(rep.Down), "up": float64(rep.Up),
		"peers": float64(rep.Peers), "from_seeder": float64(rep.FromSeeder), "from_nodes": float64(rep.FromNodes),
		"from_http": float64(rep.FromHTTP), "uploaded": float64(rep.Uploaded), "uptime": rep.Uptime,
	} {
		if !sensible(n) {
			return fmt.Errorf("%s is %v, want a number that isn't negative", name, n)
		}
	}
	for step, seconds := range rep.Durations {
		if !slices.Contains(report.Steps, step) {
			return fmt.Errorf("durations: step %q is none of %v", step, report.Steps)
		}
		if !sensible(seconds) {
			return fmt.Errorf("durations: %s took %v seconds, want a number that isn't negative", step, seconds)
		}
	}
	return nil
}

// sensible numbers can be added up and formatted without surprise; the bound is that of exact integers in a float64.
func sensible(n float64) bool { return n >= 0 && n <= 1<<53 && !math.IsNaN(n) }

// printable returns s on one line, without control and formatting characters, and at most limit bytes long.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
