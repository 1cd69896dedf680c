package fleet

import (
	"bytes"
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

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// wireReport is a report as it comes: its arrays are those of a stranger, and bounded while they are read.
type wireReport struct {
	report.Report
	Banned  banned    `json:"banned"`
	Sources sources   `json:"sources"`
	Exit    *wireExit `json:"exit"`
}

type wireExit struct {
	report.Exit
	Lines exitLines `json:"lines"`
}

// banned, sources, exitLines and logLines are arrays of at most as many elements as a node sends.
type (
	banned    []netip.Addr
	sources   []report.Source
	exitLines []string
	logLines  []string
)

// UnmarshalJSON implements json.Unmarshaler.
func (b *banned) UnmarshalJSON(text []byte) (err error) {
	*b, err = elements[netip.Addr](text, report.BannedPeers)
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *sources) UnmarshalJSON(text []byte) (err error) {
	*s, err = elements[report.Source](text, report.MaxSources)
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *exitLines) UnmarshalJSON(text []byte) (err error) {
	*l, err = elements[string](text, report.ExitLines)
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *logLines) UnmarshalJSON(text []byte) (err error) {
	*l, err = elements[string](text, report.MaxBatchLines)
	return err
}

// elements decodes an array of at most limit elements; null has none.
func elements[T any](text []byte, limit int) (all []T, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	switch begin, err := d.Token(); {
	case err != nil:
		return nil, err
	case begin == nil:
		return nil, nil
	case begin != json.Delim('['):
		return nil, fmt.Errorf("%.100v stands where an array is expected", begin)
	}
	for d.More() {
		if len(all) == limit {
			return nil, fmt.Errorf("an array has more than %d elements", limit)
		}
		var e T
		if err := d.Decode(&e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// checkMAC returns a MAC address as we write it.
func checkMAC(text string) (string, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || !catalog.IsMAC(mac.String()) {
		return "", fmt.Errorf("mac %.100q is not of the form aa:bb:cc:dd:ee:ff, or no machine's", text)
	}
	return mac.String(), nil
}

// decodeReport reads and checks one report. What people will read is made safe to show on a terminal; what programs depend on
// (MAC, step, state, numbers) is refused when it makes no sense.
func decodeReport(body io.Reader) (report.Report, error) {
	var wire wireReport
	err := json.NewDecoder(body).Decode(&wire)
	if err != nil {
		return report.Report{}, fmt.Errorf("a report is a JSON object: %w", err)
	}
	rep := wire.Report
	rep.Banned, rep.Sources = wire.Banned, wire.Sources
	if e := wire.Exit; e != nil {
		e.Exit.Lines = e.Lines
		rep.Exit = &e.Exit
	}
	if rep.MAC, err = checkMAC(rep.MAC); err != nil {
		return report.Report{}, err
	}
	if !slices.Contains(report.Steps, rep.Step) {
		return report.Report{}, fmt.Errorf("step %.100q is none of %v", rep.Step, report.Steps)
	}
	if states := []report.State{report.Running, report.Done, report.Failed}; !slices.Contains(states, rep.State) {
		return report.Report{}, fmt.Errorf("state %.100q is none of %v", rep.State, states)
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
		&rep.Boot: 64, &rep.UUID: 64, &rep.Name: 253, &rep.Arch: 16, &rep.Error: report.MaxError, &rep.System: 255, &rep.InfoHash: 40,
		&rep.Serial: 255, &rep.Vendor: 255, &rep.Model: 255, &rep.Firmware: 16, &rep.Group: catalog.MaxRuleName, &rep.Machine: catalog.MaxRuleName,
		&rep.Next: catalog.MaxRuleName,
	} {
		*s = printable(*s, limit)
	}
	rep.HostKey = printable(rep.HostKey, 64)
	for i, a := range rep.Banned {
		rep.Banned[i] = a.Unmap().WithZone("")
	}
	for i := range rep.Sources {
		rep.Sources[i].Addr = rep.Sources[i].Addr.Unmap().WithZone("")
	}
	if err := decodeOrder(rep.Order); err != nil {
		return report.Report{}, err
	}
	if err := decodePhase1(rep.Phase1); err != nil {
		return report.Report{}, err
	}
	return rep, decodeExit(rep.Exit)
}

// decodePhase1 checks what is said of phase 1's being given away; nil is that it isn't.
func decodePhase1(p *report.Phase1) error {
	if p == nil {
		return nil
	}
	if p.Port < 1 || p.Port > math.MaxUint16 || !sensible(float64(p.Served)) {
		return fmt.Errorf("phase1: %d bytes at port %d, want a port and a number that isn't negative", p.Served, p.Port)
	}
	var h catalog.InfoHash
	if err := h.UnmarshalText([]byte(p.Image)); err != nil {
		return fmt.Errorf("phase1: image: %w", err)
	}
	p.Image = h.String()
	return nil
}

// decodeOrder checks what is said of an order; nil is none.
func decodeOrder(o *report.Order) error {
	if o == nil {
		return nil
	}
	if states := []report.OrderState{report.OrderTaken, report.OrderRefused}; !slices.Contains(states, o.State) {
		return fmt.Errorf("order: state %.100q is none of %v", o.State, states)
	}
	o.Text = printable(o.Text, report.MaxError)
	return nil
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
	e.System, e.Reason = printable(e.System, 255), printable(e.Reason, report.MaxError)
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
		"writing": float64(rep.Writing), "link_mbps": float64(rep.LinkMbps), "cpu": float64(rep.CPU),
	} {
		if !sensible(n) {
			return fmt.Errorf("%s is %v, want a number that isn't negative", name, n)
		}
	}
	for _, s := range rep.Sources {
		if !s.Addr.IsValid() || !sensible(float64(s.Bytes)) {
			return fmt.Errorf("sources: %d bytes from %v, want an address and a number that isn't negative", s.Bytes, s.Addr)
		}
	}
	for step, seconds := range rep.Durations {
		if !slices.Contains(report.Steps, step) {
			return fmt.Errorf("durations: step %.100q is none of %v", step, report.Steps)
		}
		if !sensible(seconds) {
			return fmt.Errorf("durations: %s took %v seconds, want a number that isn't negative", step, seconds)
		}
	}
	return nil
}

// sensible numbers can be added up and formatted without surprise; the bound is that of exact integers in a float64.
func sensible(n float64) bool { return n >= 0 && n <= 1<<53 && !math.IsNaN(n) }

// printable returns s on one line, without control and formatting characters, and at most limit bytes long. It holds on to no more
// memory than that.
func printable(s string, limit int) string {
	s = strings.ToValidUTF8(s[:min(len(s), limit+utf8.UTFMax)], "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r != utf8.RuneError && !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.Clone(s)
}

// wireLog is a batch of log lines as it comes.
type wireLog struct {
	report.Log
	Lines logLines `json:"lines"`
}

// decodeLog reads and checks a batch of log lines.
func decodeLog(body io.Reader) (report.Log, error) {
	var wire wireLog
	err := json.NewDecoder(body).Decode(&wire)
	if err != nil {
		return report.Log{}, fmt.Errorf("a batch of log lines is a JSON object: %w", err)
	}
	l := wire.Log
	l.Lines = wire.Lines
	if l.MAC, err = checkMAC(l.MAC); err != nil {
		return report.Log{}, err
	}
	if l.Boot == "" || len(l.Boot) > 64 {
		return report.Log{}, fmt.Errorf("boot has %d bytes, want 1 to 64", len(l.Boot))
	}
	if l.First < 0 || l.First > 1<<40 {
		return report.Log{}, fmt.Errorf("first is %d, want the number of the first line, from 0", l.First)
	}
	return l, nil
}
