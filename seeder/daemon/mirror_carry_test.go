package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// wantNow asks for a torrent as a node does.
func wantNow(t *testing.T, base, name string) {
	t.Helper()
	for _, s := range statusOf(base).Systems {
		if s.Name == name {
			if read(base, catalog.TorrentPath(*s.InfoHash)) == nil {
				t.Errorf("the torrent of %s is not served", name)
			}
		}
	}
}

// Within disk:, what no machine has wanted for longest leaves; what a machine is fetching just now never does.
func TestMirrorKeepsWhatIsUsed(t *testing.T) {
	s := newSite(t)
	for i, name := range []string{"two", "three", "four"} {
		writeSystem(t, s.Dir, name, byte('b'+i))
	}
	first := start(t, load(t, s))
	var ahead atomic.Int64 // of the clock
	clock := func(m *Mirror) {
		m.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	dir := newMirror(t, s, first.base, "127.0.0.1", "systems: []\ndisk: 1000 kB\n") // three systems of 300 KiB
	mirror, stop := startMirrorWith(t, dir, clock)
	want := func(names ...string) {
		for _, name := range names {
			wantNow(t, mirror.base, name)
			awaitSystem(t, mirror.base, name, status.Published)
			ahead.Add(int64(2 * time.Minute)) // nobody is about to fetch it any more
		}
	}
	awaitSystem(t, mirror.base, "one", status.Elsewhere)
	want("one", "two", "three", "one")
	wantNow(t, mirror.base, "four")
	awaitSystem(t, mirror.base, "four", status.Published)
	awaitSystem(t, mirror.base, "two", status.Elsewhere)
	awaitSystem(t, mirror.base, "one", status.Published)

	// The order is known after a restart as well: three is the next one to leave.
	ahead.Add(int64(2 * time.Minute))
	await(t, "the order is on the disk", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, site.StateDir, MirrorDir, "uses.json"))
		return strings.Count(string(b), ":") == 4
	})
	time.Sleep(3 * time.Second) // and the last use
	stop()
	mirror, _ = startMirrorWith(t, dir, clock)
	awaitSystem(t, mirror.base, "one", status.Published)
	wantNow(t, mirror.base, "two")
	awaitSystem(t, mirror.base, "two", status.Published)
	awaitSystem(t, mirror.base, "three", status.Elsewhere)

	// Those that are wanted just now stay, and the one for which there is no room says why.
	for _, name := range []string{"one", "two", "four", "three"} {
		wantNow(t, mirror.base, name)
	}
	if why := awaitTrouble(t, mirror.base, "three"); !strings.Contains(why, "disk: allows") {
		t.Errorf("it says %q", why)
	}
	for _, name := range []string{"one", "two", "four"} {
		awaitSystem(t, mirror.base, name, status.Published)
	}
}

// A machine that asks a mirror for a system which is not carried gets its pieces as they arrive.
func TestMirrorPassesPiecesThrough(t *testing.T) {
	s := newSite(t)
	config := filepath.Join(s.Dir, site.ConfigFile)
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, append(text, "limits: {seeder: {upload: \"2 MB/s\"}}\n"...), 0o644))
	content := kernel(8<<20, 'x')
	for i := 4096; i < len(content); i++ { // no two pieces are the same
		content[i] = byte(i>>16 + i>>8 + i)
	}
	must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "one", "vmlinuz"), content, 0o644))
	first := start(t, load(t, s))
	mirror, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", "systems: []\n"))
	one := awaitSystem(t, mirror.base, "one", status.Elsewhere)
	cat := first.catalog()
	sys, _ := cat.System("one")
	files, err := sys.OpenFiles(read(mirror.base, catalog.FileListPath(*one.InfoHash)))
	must(t, err)
	torrent := read(mirror.base, catalog.TorrentPath(*one.InfoHash))
	node, err := swarm.New(swarm.Config{
		Listen: netip.MustParseAddrPort("127.0.0.5:0"), Seeders: []swarm.Seeder{{HTTP: mirror.base}}, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer node.Close()
	early := int64(0)
	err = node.Fetch(t.Context(), swarm.Source{Torrent: torrent, System: sys, Files: files, Dir: t.TempDir()}, func(st swarm.Stats) {
		for _, v := range statusOf(mirror.base).Systems {
			if v.Name == "one" && v.State == status.Fetching {
				early = max(early, st.Done)
			}
		}
	})
	must(t, err)
	if early == 0 {
		t.Error("no piece came to the node before the mirror had all")
	}
	t.Logf("%d of %d bytes were at the node while the mirror was still fetching", early, sys.Size)
}

// A mirror of a mirror follows, also when the one between was killed and comes back; and nobody fetches what no machine wants.
func TestMirrorOfAMirror(t *testing.T) {
	s := siteWithImage(t)
	first := start(t, s)
	between := newMirror(t, s, first.base, "127.0.0.1", "systems: [one]\n")
	m, problems := site.LoadMirror(between)
	if m == nil {
		t.Fatal(problems)
	}
	base := fmt.Sprintf("http://%s:%d", m.Serve.Address, m.Ports.HTTP)
	p := startProcess(t, between)
	last, _ := startMirrorWith(t, newMirror(t, s, base, "127.0.0.1", "systems: [one]\n"), func(m *Mirror) { m.Poll = 100 * time.Millisecond })
	awaitSame(t, first.base, last.base)
	writeSystem(t, s.Dir, "two", 'b')
	awaitSystem(t, last.base, "two", status.Elsewhere)
	awaitSystem(t, base, "two", status.Elsewhere)

	p.kill()
	last.awaitLog("nothing new comes from the other seeder")
	if read(last.base, "/boot/vmlinuz") == nil {
		t.Error("alone, the last one serves no kernel")
	}
	writeSystem(t, s.Dir, "one", 'c')
	startProcess(t, between)
	await(t, "the last one has what the first one changed", func() bool {
		return bytes.Equal(read(last.base, catalog.PathCatalog), read(first.base, catalog.PathCatalog))
	})
	if s := awaitSystem(t, base, "two", status.Elsewhere); s.InfoHash == nil {
		t.Error("the one between lost it")
	}
	two := awaitSystem(t, last.base, "two", status.Elsewhere)
	wantNow(t, last.base, "two")
	awaitSystem(t, last.base, "two", status.Published)
	if got := read(last.base, catalog.WebSeedPath(*two.InfoHash)+"two/vmlinuz"); !bytes.Equal(got, kernel(300<<10, 'b')) {
		t.Errorf("%d other bytes", len(got))
	}
}

// TestMirrorFollowsSoon measures how late a mirror serves what has changed at the first seeder.
func TestMirrorFollowsSoon(t *testing.T) {
	s := siteWithImage(t)
	ready, ended := make(chan Summary, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // as people run it, with the usual quiet time
		ended <- Run(ctx, Options{Site: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Ready: func(sum Summary) { ready <- sum }})
	}()
	defer func() { cancel(); must(t, <-ended) }()
	base := (<-ready).Base[0]
	mirror, _ := startMirror(t, newMirror(t, s, base, "127.0.0.1", ""))
	awaitSame(t, base, mirror.base)
	for i := range 5 {
		before := read(base, catalog.PathCatalog)
		began := time.Now()
		writeSystem(t, s.Dir, "one", byte('0'+i))
		await(t, "the first seeder has another catalog", func() bool { return !bytes.Equal(read(base, catalog.PathCatalog), before) })
		published := time.Now()
		now := read(base, catalog.PathCatalog)
		await(t, "the mirror has it too", func() bool { return bytes.Equal(read(mirror.base, catalog.PathCatalog), now) })
		followed := time.Since(published)
		t.Logf("from the change to the first seeder's catalog %.2f s, from that to the mirror's %.3f s", published.Sub(began).Seconds(), followed.Seconds())
		if followed > 3*time.Second {
			t.Errorf("the mirror was %s behind", followed)
		}
	}
}
