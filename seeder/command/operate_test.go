package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
)

// operating are commands of scripts about a room.
var operating = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"config": writeConfig, "served": awaitServed, "published": awaitPublished, "node": startNode,
}

// writeConfig writes a boottorrent.yaml that is served on loopback, on ports of its own, with two machines.
func writeConfig(ts *testscript.TestScript, _ bool, args []string) {
	port := func() int { return need.Port(ts.Value("t").(testing.TB)) }
	http := port()
	ts.Setenv("BASE", fmt.Sprintf("http://127.0.0.1:%d", http))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, `version: 1
name: Room 12
serve: {interfaces: [lo]}
dhcp: {mode: off}
ports: {http: %d, tftp: %d, torrent: %d}
groups:
  - {name: front}
machines:
  - {mac: "52:54:00:00:00:01", name: teacher, group: front, notes: by the door}
  - {mac: "52:54:00:00:00:02", name: pupil}
`, http, port(), port()), 0o644))
}

// await waits until a condition holds.
func await(ts *testscript.TestScript, what string, holds func() bool) {
	for end := time.Now().Add(need.Patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("it is not %s within %s", what, need.Patience)
		}
	}
}

// awaitServed waits until a site is served and its first catalog is there.
func awaitServed(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, "served", func() bool {
		s, err := daemon.Control{Dir: ts.MkAbs(args[0])}.Status(context.Background())
		return err == nil && s.Counter > 0
	})
}

// awaitPublished waits until the signed catalog says that all machines start something next.
func awaitPublished(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, "published", func() bool {
		resp, err := http.Get(ts.Getenv("BASE") + catalog.PathCatalog)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		var c catalog.Catalog
		return err == nil && json.Unmarshal(body, &c) == nil &&
			slices.ContainsFunc(c.Rules.Next, func(n catalog.Next) bool { return n.Group == catalog.GroupAll && n.What == args[1] })
	})
}

// startNode has a node at a step, which reports several times a second until it has taken an order.
func startNode(ts *testscript.TestScript, _ bool, args []string) {
	var key minisign.PublicKey
	text, err := os.ReadFile(ts.MkAbs(filepath.Join("room", site.PublicKeyFile)))
	ts.Check(err)
	ts.Check(key.UnmarshalText(text))
	rep := report.Report{MAC: args[0], Boot: args[0] + args[1], Step: report.Step(args[1]), State: report.Running, System: "debian"}
	first, base := make(chan error, 1), ts.Getenv("BASE")
	ctx, cancel := context.WithCancel(context.Background())
	ts.Defer(cancel)
	go func() {
		for taken := false; !taken && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			signed, err := send(base, rep)
			if len(signed) > 0 {
				o, openErr := order.Open(key, signed)
				if err = openErr; err == nil {
					taken, rep.Order = true, &report.Order{Counter: o.Counter, State: report.OrderTaken, Text: strings.Join([]string{"obeying", string(o.Action), o.System}, " ")}
					_, err = send(base, rep)
				}
			}
			select {
			case first <- err:
			default:
			}
		}
	}()
	ts.Check(<-first)
}

// send posts a report, and returns the answer.
func send(base string, rep report.Report) ([]byte, error) {
	body, err := json.Marshal(rep)
	if err != nil {
		return nil, err
	}
	resp, err := http.Post(base+catalog.PathReport, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
