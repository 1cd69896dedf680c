package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/creack/pty"

	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// patience is how long a test waits for what should happen at once; the machine may be busy.
const patience = need.Patience

// person sits at a console and reads and types.
type person struct {
	t    *testing.T
	end  *os.File
	path string

	mu   sync.Mutex
	read bytes.Buffer
	more chan struct{}
}

func newPerson(t *testing.T) *person {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, end: master, path: slave.Name(), more: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.read.Write(buf[:n])
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
			if err != nil { // EIO: the last one has closed it
				return
			}
		}
	}()
	t.Cleanup(func() {
		slave.Close()
		<-ended
		master.Close()
	})
	return p
}

func (p *person) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read.String()
}

// forget makes see wait for what is shown from now on.
func (p *person) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read.Reset()
}

// see waits until the console has shown a text.
func (p *person) see(text string) {
	p.t.Helper()
	timeout := time.After(patience)
	for !strings.Contains(p.all(), text) {
		select {
		case <-p.more:
		case <-timeout:
			p.t.Fatalf("the console never showed %q, but:\n%s", text, p.all())
		}
	}
}

func (p *person) send(keys string) {
	p.t.Helper()
	if _, err := p.end.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// occupy shows another screen, so that there is none for the node.
func (p *person) occupy(n *Node) {
	p.t.Helper()
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(p.t.Context())
	go func() {
		defer close(ended)
		_, _, _ = n.Consoles.Run(ctx, menu.NewTransfer(menu.Place{}, "Occupied"), nil)
	}()
	p.t.Cleanup(func() {
		cancel()
		<-ended
	})
	p.see("Occupied")
}

// newNode is a node with one console, the seeder at base.
func newNode(t *testing.T, base string) (*Node, *person) {
	t.Helper()
	p := newPerson(t)
	consoles, err := console.NewSet(console.Console{Name: "ttyS0", Path: p.path, Term: "vt220"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { consoles.Close() })
	public, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n, err := New(Config{
		Consoles: consoles, Log: func(format string, args ...any) { t.Helper(); t.Logf(format, args...) },
		Image:   sitepart.Config{Site: "Test site", PublicKey: public.String()},
		Facts:   hardware.Facts{Arch: "amd64", UUID: "4c4c4544-0042-3010-8058-b9c04f333832", MemoryMiB: 997},
		Report:  report.New(time.Now),
		Systems: filepath.Join(dir, "systems"), State: filepath.Join(dir, "run", "state.json"),
		RootDir: filepath.Join(dir, "root"), PlanFile: filepath.Join(dir, "run", "stay.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.session.catalog = &catalog.Catalog{}
	n.link.down = func() error { t.Error("the network was taken down"); return nil }
	if base != "" {
		n.session.Use(base)
	}
	return n, p
}
