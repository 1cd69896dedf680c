package fleet

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
)

func mac(n int) string { return fmt.Sprintf("02:00:00:%02x:%02x:%02x", n>>16, n>>8&255, n&255) }

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// by is a node that speaks for itself from an address, now.
func by(addr netip.Addr) Sender { return Sender{Node: addr, By: addr, At: time.Now()} }

// at is the same at another time.
func (s Sender) at(t time.Time) Sender {
	s.At = t
	return s
}

// typical is a report as real nodes send it, while a system is being fetched.
func typical(n int, boot string) report.Report {
	return report.Report{
		Boot: boot, MAC: mac(n), IP: address(n).String(), UUID: "4c4c4544-0042-3510-8050-b4c04f4e3033", Name: fmt.Sprint("desk-", n), Arch: "amd64",
		Step: report.Fetch, State: report.Running, System: "debian-installer", InfoHash: strings.Repeat("0", 40),
		HostKey: "SHA256:" + strings.Repeat("x", 43), Transfer: report.Transfer{Size: 1 << 30, Done: 1 << 29},
		Durations: map[report.Step]float64{report.Hardware: 1, report.Network: 2, report.Discover: 3, report.Catalog: 4, report.Choose: 5},
	}
}

// Ten thousand nodes, each in its second boot, are a supported number.
func TestTenThousandNodes(t *testing.T) {
	f := New(Config{Dir: t.TempDir()})
	for _, boot := range []string{"one", "two"} {
		for n := range 10_000 {
			f.record(typical(n, boot), by(address(n)))
		}
	}
	list := f.List()
	if len(list) != 10_000 || list[0].Previous == nil || list[0].Previous.Boot != "one" || list[0].Boot != "two" {
		t.Fatalf("%d nodes, the first is %+v", len(list), list[0])
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whatever strangers send, it takes no more memory than it may.
func TestMemoryIsBounded(t *testing.T) {
	start := `{"mac":"%s","boot":"%d","step":"launch","state":"running"`
	for name, rest := range map[string]string{
		"arrays of empty strings": `,"exit":{"system":"x","lines":[` + strings.Repeat(`"",`, 10000) + `""]}}`,
		"arrays of addresses":     `,"banned":[` + strings.Repeat(`"::",`, 6000) + `"::"]}`,
		"long strings":            `,"error":"` + strings.Repeat("x", 20000) + `","system":"` + strings.Repeat("y", 10000) + `"}`,
		"what it is":              `,"serial":"` + strings.Repeat("x", 9000) + `","machine":"` + strings.Repeat("y", 9000) + `","next":"` + strings.Repeat("z", 9000) + `"}`,
		"unknown arrays":          `,"x":[` + strings.Repeat(`[],`, 10000) + `[]]}`,
		"many steps":              `,"durations":{` + strings.Repeat(`"fetch":1,`, 3000) + `"seed":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			const memory = 1 << 20
			f := New(Config{Dir: t.TempDir(), Memory: memory})
			before := heap()
			reports := 200
			if name == "arrays of empty strings" {
				reports = 1000
			}
			for n := range reports {
				r := httptest.NewRequest("POST", "/api/report", strings.NewReader(fmt.Sprintf(start, mac(n), n)+rest))
				w := httptest.NewRecorder()
				f.ReportHandler().ServeHTTP(w, r)
				if array := strings.HasPrefix(name, "arrays"); (w.Code == 400) != array || !array && w.Code != 204 {
					t.Fatalf("%d: %s", w.Code, w.Body)
				}
			}
			if grown := heap() - before; grown > memory+1<<20 {
				t.Errorf("%d KiB more are in use, want at most %d", grown>>10, memory>>10)
			}
			runtime.KeepAlive(f)
		})
	}
}

// What is counted is what is taken.
func TestCostIsHonest(t *testing.T) {
	f := New(Config{Dir: t.TempDir()})
	before := heap()
	for n := range 5000 {
		f.record(typical(n, strings.Clone("one")), by(address(n)))
	}
	grown, counted := heap()-before, f.reports.Total()
	if grown > counted*5/4 {
		t.Errorf("%d bytes a node are in use, %d are counted", grown/5000, counted/5000)
	}
	runtime.KeepAlive(f)
}

// One machine that forges MAC addresses makes none of the others be forgotten.
func TestForgedNodes(t *testing.T) {
	f := New(Config{Dir: t.TempDir(), Memory: 1 << 20})
	for n := range 300 {
		f.record(typical(n, "one"), by(address(n)))
	}
	for n := range 5000 {
		f.record(report.Report{Boot: "x", MAC: mac(1<<20 + n), Step: report.Network, State: report.Running}, by(address(1<<20)))
	}
	real := 0
	for _, n := range f.List() {
		if n.System != "" {
			real++
		}
	}
	if real != 300 || f.reports.Total() > 1<<20 {
		t.Errorf("%d of 300 nodes are left, %d bytes are counted", real, f.reports.Total())
	}
}

// The seeder's own log doesn't grow with what strangers send.
func TestLinesAreBounded(t *testing.T) {
	r := newRegistry()
	for n := range 100_000 {
		r.record(report.Report{Boot: "x", MAC: mac(n % 50), Step: report.Network, State: report.Failed, Error: fmt.Sprint(n)}, by(address(1)))
	}
	if n := strings.Count(r.log.String(), "\n"); n > lineBurst+1 {
		t.Errorf("%d lines", n)
	}
	if !strings.Contains(r.log.String(), "nodes report more than is logged") {
		t.Error("nothing says that lines are left out")
	}
}

func (s *logs) onDisk(t *testing.T) (bytes int64, files int) {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes, files = bytes+info.Size(), files+1
		}
	}
	return bytes, files
}

func batch(n int, boot string, first int64, lines int) report.Log {
	l := report.Log{MAC: mac(n), Boot: boot, First: first}
	for i := range lines {
		l.Lines = append(l.Lines, fmt.Sprintf("%d %s", i, strings.Repeat("x", 990)))
	}
	return l
}

// Logs stay within their quota, the oldest go first, and who forges addresses makes nobody's log go.
func TestLogQuota(t *testing.T) {
	f := New(Config{Dir: filepath.Join(t.TempDir(), "logs"), Disk: 4 << 20})
	now := time.Now()
	for n := range 20 {
		if err := f.logs.add(batch(n, "one", 0, 100), by(address(n)).at(now), ""); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 500 {
		if err := f.logs.add(batch(1<<20+n, "x", 0, 10), by(address(1<<20)).at(now), ""); err != nil {
			t.Fatal(err)
		}
	}
	bytes, files := f.logs.onDisk(t)
	if bytes > 4<<20 || files != 2*len(f.logs.nodes) {
		t.Errorf("%d bytes in %d files of %d nodes", bytes, files, len(f.logs.nodes))
	}
	for n := range 20 {
		if f.logs.nodes[mac(n)] == nil {
			t.Errorf("the log of node %d is gone", n)
		}
	}
	for n := range 200 { // the room itself has more than there is place for
		if err := f.logs.add(batch(1000+n, "one", 0, 100), by(address(1000+n)).at(now), ""); err != nil {
			t.Fatal(err)
		}
	}
	if f.logs.nodes[mac(0)] != nil || f.logs.nodes[mac(1199)] == nil {
		t.Error("the oldest is there, or the youngest isn't")
	}
	// A seeder that is started again counts what is there.
	again := New(Config{Dir: f.logs.dir, Disk: 4 << 20})
	if len(again.logs.nodes) != len(f.logs.nodes) || again.logs.disk.Total() != f.logs.disk.Total() {
		t.Errorf("after a restart %d logs with %d bytes, want %d with %d", len(again.logs.nodes), again.logs.disk.Total(),
			len(f.logs.nodes), f.logs.disk.Total())
	}
}

// The boot before is kept, and is the first to go.
func TestPreviousBoot(t *testing.T) {
	f := New(Config{Dir: filepath.Join(t.TempDir(), "logs"), Disk: 1 << 20})
	for _, boot := range []string{"one", "two", "three"} {
		l := batch(1, boot, 0, 100)
		l.Lines[0] = "boot " + boot
		if err := f.logs.add(l, by(address(1)).at(time.Now()), ""); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := PrintPrevious(&out, f.logs.dir, Facts{MAC: mac(1)}); err != nil || !strings.HasPrefix(out.String(), "boot two\n") {
		t.Errorf("%.40q, %v", out.String(), err)
	}
	for n := range 9 {
		if err := f.logs.add(batch(2+n, "one", 0, 100), by(address(2+n)).at(time.Now()), ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.logs.nodes[mac(1)]; n == nil || n.Value.previous != 0 {
		t.Errorf("of the first node there is %+v", n)
	}
	if err := PrintPrevious(&out, f.logs.dir, Facts{MAC: mac(1)}); err == nil || !strings.Contains(err.Error(), "no log of an earlier boot") {
		t.Error(err)
	}
}

// On a disk that others fill, logs give way, and nothing is kept by halves.
func TestDiskFull(t *testing.T) {
	need.Root(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	r := newRegistry()
	r.Fleet = New(Config{Dir: filepath.Join(disk, "logs"), Log: r.Fleet.log})
	f := r.Fleet
	add := func(n int) error { return f.logs.add(batch(n, "one", 0, 300), by(address(n)).at(time.Now()), "") }
	for n := range 40 {
		if err := add(n); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, _ := f.logs.onDisk(t); bytes > 2<<20 {
		t.Errorf("logs take %d bytes of 16 MiB, of which they may have a tenth", bytes)
	}
	others, err := os.Create(filepath.Join(disk, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	fill := func() {
		for block := make([]byte, 64<<10); err == nil; {
			_, err = others.Write(block)
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	before, _ := f.logs.onDisk(t)
	fill()
	f.logs.shrink()
	if err := os.WriteFile(filepath.Join(disk, "leases"), make([]byte, 256<<10), 0o600); err != nil {
		t.Errorf("a lease can't be written: %v", err)
	}
	if after, _ := f.logs.onDisk(t); after > before/4 {
		t.Errorf("logs take %d bytes of a full disk, before that %d", after, before)
	}
	for range 20 {
		fill()
		f.logs.shrink()
	}
	if code := postLines(t, f, macA, "one", 0, "a", "b"); code != 503 {
		t.Errorf("lines on a full disk: %d, want 503", code)
	}
	if code := postLines(t, f, macA, "one", 0, "a", "b"); code != 503 || strings.Count(r.log.String(), "logs can't be kept") != 1 {
		t.Errorf("the second time: %d, log:\n%s", code, &r.log)
	}
	r.report(t, typical(1, "one")) // reports go on
	if err := others.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if code := postLines(t, f, macA, "one", 0, "a", "b"); code != 204 || file(t, f, macA) != "a\nb\n" {
		t.Errorf("with room again: %d, %q", code, file(t, f, macA))
	}
}

// A write that fails half-way leaves what was there.
func TestAppendWhole(t *testing.T) {
	need.Root(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	name := filepath.Join(disk, "log")
	if err := appendWhole(name, "first\n", 0); err != nil {
		t.Fatal(err)
	}
	if err := appendWhole(name, strings.Repeat("x", 1<<20), 6); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); string(got) != "first\n" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func BenchmarkRecordForged(b *testing.B) {
	f := New(Config{Dir: b.TempDir()})
	for n := range b.N {
		f.record(report.Report{Boot: "x", MAC: mac(n), Step: report.Network, State: report.Running}, by(address(n%500)))
	}
}

// A clock that jumps changes neither who is forgotten nor what is logged for good.
func TestClockJumps(t *testing.T) {
	r := newRegistry()
	for n := range 20 {
		r.now = r.now.Add([]time.Duration{time.Second, -365 * 24 * time.Hour, 365 * 24 * time.Hour}[n%3])
		r.report(t, typical(n, "one"))
	}
	if list := r.list(t); len(list) != 20 {
		t.Errorf("%d nodes", len(list))
	}
	var s seldom
	for n, want := range []bool{true, false, true, true} {
		r.now = r.now.Add([]time.Duration{0, time.Second, -time.Hour, 2 * time.Hour}[n])
		if got := s.allow(r.now); got != want {
			t.Errorf("warning %d: %v", n, got)
		}
	}
}
