package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		if err := enter(context.Background(), os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// open is a room until the test ends.
func open(t *testing.T, disk string) *room {
	t.Helper()
	need.Root(t)
	r, err := newRoom(t.Context(), disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// A minute of it.
func TestSoak(t *testing.T) {
	r := open(t, "")
	res, err := r.soak(t.Context(), options{nodes: 200, time: time.Minute, change: 15 * time.Second, seed: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	res.print(t.Output())
	for _, f := range res.Faults {
		t.Error(f)
	}
}

// Nodes that report are all heard, and what the page and /metrics weigh doesn't grow with what they say beyond a line each.
func TestReporting(t *testing.T) {
	r := open(t, "")
	res, err := r.report(t.Context(), 100, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	res.print(t.Output())
	for name, p := range map[string]phase{"reports": res.Reports, "page": res.Page} {
		if p.Refused > 0 || p.Answered < 200 {
			t.Errorf("%s: %d reports were answered, %d were not", name, p.Answered, p.Refused)
		}
		if p.RSS > 256<<20 || p.Cores > 1 {
			t.Errorf("%s: the seeder takes %d MiB and %.2f cores", name, p.RSS>>20, p.Cores)
		}
	}
	if m := res.Sizes["/metrics"]; m.Bytes < 10<<10 || m.Bytes > 100<<10 || m.Gzip >= m.Bytes/2 {
		t.Errorf("/metrics has %d bytes, %d with gzip", m.Bytes, m.Gzip)
	}
	if p := res.Sizes["/"]; p.Bytes < 100*100 || p.Bytes > 100*4096 {
		t.Errorf("the page of 100 machines has %d bytes", p.Bytes)
	}
	if res.Events <= 0 {
		t.Error("the page got no changes")
	}
}

// On a full disk the room boots all the same, also machines that were never there before.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	r := open(t, disk)
	boot := func(first, count int) {
		t.Helper()
		var nodes sync.WaitGroup
		for n := range count {
			nodes.Go(func() {
				if err := (&node{room: r, number: first + n, seed: time.Second}).boot(t.Context()); err != nil {
					t.Errorf("node %d: %v", first+n, err)
				}
			})
		}
		nodes.Wait()
	}
	boot(0, 10)
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for _, size := range []int{1 << 20, 4 << 10} {
		for block := make([]byte, size); err == nil; {
			_, err = filler.Write(block)
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	boot(100, 20)
	if n := onDisk(r.site.Path(site.StateDir, "logs")); n > 1<<20 {
		t.Errorf("logs take %d bytes of a disk that is full", n)
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	boot(200, 5)
	if n := onDisk(r.site.Path(site.StateDir, "logs")); n == 0 {
		t.Error("with room again no log is kept")
	}
}
