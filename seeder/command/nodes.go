package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/room"
)

// watchTime is how often the table is shown anew.
const watchTime = 2 * time.Second

type nodesCmd struct {
	Dir    string `arg:"" help:"The site directory."`
	Watch  bool   `help:"Show it anew every two seconds, until interrupted."`
	Output string `short:"o" enum:"table,json" default:"table" help:"table, or json: as GET /api/v1/nodes answers, with --watch a line each time."`
}

// Run prints the machines that are known to the running seeder.
func (c nodesCmd) Run(ctx context.Context, t terminal) error {
	for {
		var nodes api.Nodes
		if err := (daemon.Control{Dir: c.Dir}).Get(ctx, "nodes", &nodes); err != nil {
			return running(c.Dir, err)
		}
		if err := c.print(t, nodes); err != nil || !c.Watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchTime):
		}
	}
}

func (c nodesCmd) print(t terminal, nodes api.Nodes) error {
	if c.Output == "json" {
		e := json.NewEncoder(t.Out)
		if !c.Watch {
			e.SetIndent("", "  ")
		}
		return e.Encode(nodes)
	}
	table := nodesTable(nodes, time.Now())
	if f, ok := t.Out.(*os.File); c.Watch && ok && term.IsTerminal(int(f.Fd())) {
		table = "\x1b[H\x1b[2J" + table // to the upper left corner, and clear the screen (ECMA-48, CUP and ED)
	}
	_, err := fmt.Fprint(t.Out, table)
	return err
}

// nodesTable is the machines, one a line.
func nodesTable(nodes api.Nodes, now time.Time) string {
	if len(nodes.Machines) == 0 {
		return "No machine is known: the site lists none, and none has reported.\n"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	mirrored := slices.ContainsFunc(nodes.Machines, func(m room.Machine) bool { return m.Node != nil && m.Node.Via != "" })
	heads := "NAME\tMAC\tADDRESS\tGROUP\tSTATE\tSYSTEM\tDONE\tDOWN\tUP\tSEEN\tNEXT\tNOTES"
	if mirrored {
		heads += "\tMIRROR"
	}
	fmt.Fprintln(w, heads)
	for i := range nodes.Machines {
		m := &nodes.Machines[i]
		cells := []string{m.Name, m.MAC, m.Address, m.Group, "not seen", "", "", "", "", "", m.Next, firstLine(m.Notes)}
		if m.Name == "" {
			cells[0] = m.Hostname
		}
		if m.Node != nil {
			copy(cells[4:], nodeCells(m, now))
		}
		if mirrored {
			cells = append(cells, "")
			if m.Node != nil {
				cells[len(cells)-1] = strings.TrimPrefix(m.Node.Via, "http://")
			}
		}
		for i, c := range cells {
			if c == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // to a strings.Builder
	return b.String()
}

// nodeCells are a node's state, system, progress, speeds and silence.
func nodeCells(m *room.Machine, now time.Time) []string {
	n := m.Node
	state := string(n.Step)
	switch {
	case n.SwitchedOff(now):
		state = "switched off"
	case n.State == report.Failed:
		state += " failed"
	case n.Step == report.Launch && n.State == report.Done:
		state = "started"
	case n.Step == report.Give:
		state = "runs"
	}
	cells := []string{state, n.System, "", "", "", now.Sub(n.Seen).Truncate(time.Second).String() + " ago"}
	if n.Size > 0 {
		cells[2] = fmt.Sprintf("%.0f%%", n.Percent())
	}
	if n.Down > 0 {
		cells[3] = text.Size(n.Down) + "/s"
	}
	if n.Up > 0 {
		cells[4] = text.Size(n.Up) + "/s"
	}
	return cells
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
