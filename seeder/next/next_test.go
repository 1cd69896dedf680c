package next

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const one, two, three = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"

// bench is a store in a folder, with a clock that stands.
type bench struct {
	*Store
	t   *testing.T
	dir string
	now time.Time
	log bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)}
	b.restart()
	return b
}

func (b *bench) restart() {
	b.Store = Open(b.dir, slog.New(slog.NewTextHandler(&b.log, nil)), func() time.Time { return b.now })
}

func (b *bench) set(what string, once bool, targets ...Target) []Entry {
	b.t.Helper()
	said, err := b.Set(targets, what, once)
	if err != nil {
		b.t.Fatal(err)
	}
	return said
}

// said is what is said, in short: "MAC or group=what".
func (b *bench) said() string {
	var out []string
	for _, e := range b.Catalog() {
		out = append(out, e.MAC+e.Group+"="+e.What)
	}
	return strings.Join(out, " ")
}

func machine(mac string) Target               { return Target{MAC: mac} }
func group(name string, has ...string) Target { return Target{Group: name, Has: has} }

// The last word counts, and what is for fewer counts before what is for more.
func TestSet(t *testing.T) {
	b := newBench(t)
	b.set("all", false, group(catalog.GroupAll))
	b.set("debian", false, group("teachers", one))
	b.set("menu", false, machine(one), machine(two))
	if got, want := b.said(), one+"=menu "+two+"=menu teachers=debian all=all"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	b.set("local", true, group("teachers", one))
	if got, want := b.said(), two+"=menu teachers=local all=all"; got != want {
		t.Errorf("after the group: %s, want %s", got, want)
	}
	if gone, err := b.Clear([]Target{machine(two), machine(three)}); err != nil || len(gone) != 1 || gone[0].MAC != two {
		t.Errorf("clear: %+v, %v", gone, err)
	}
	b.set("menu", false, group(catalog.GroupAll))
	if got := b.said(); got != "all=menu" {
		t.Errorf("after all: %s", got)
	}
	if gone, _ := b.Clear([]Target{group(catalog.GroupAll)}); len(gone) != 1 || b.said() != "" {
		t.Errorf("clear all: %+v, left %s", gone, b.said())
	}
}

// Changes are told, several of them as one.
func TestChanges(t *testing.T) {
	b := newBench(t)
	said := b.set("debian", true, group("teachers"))
	b.Follow(one, said[0].ID)
	select {
	case <-b.Changes():
	default:
		t.Fatal("nothing is told")
	}
	b.Follow(one, said[0].ID)
	b.Follow(one, "")
	b.Follow(two, "another")
	b.End(func(string) []string { return nil })
	select {
	case <-b.Changes():
		t.Error("a change is told that is none")
	default:
	}
}

func TestFollowOnce(t *testing.T) {
	b := newBench(t)
	said := b.set("debian", true, machine(one), group("teachers"))
	always := b.set("menu", false, machine(three))
	b.Follow(two, said[0].ID) // that of another machine
	b.Follow(one, said[0].ID)
	b.Follow(two, said[1].ID)
	b.Follow(three, always[0].ID)
	list := b.List()
	if len(list) != 2 || list[0].MAC != three || list[0].Done != nil || !slices.Equal(list[1].Done, []string{two}) {
		t.Errorf("%+v", list)
	}
	// The group is those two, and one has not followed yet.
	has := func(string) []string { return []string{one, two} }
	if b.End(has); len(b.List()) != 2 {
		t.Error("it ended before all had followed")
	}
	b.Follow(one, said[1].ID)
	if b.End(func(string) []string { return nil }); len(b.List()) != 2 {
		t.Error("it ended, although nobody knows who belongs to the group")
	}
	if b.End(has); len(b.List()) != 1 {
		t.Error("it did not end when all had followed")
	}
	b.set("debian", true, machine(one), group("teachers"))
	b.now = b.now.Add(Week)
	if b.End(has); b.said() != three+"=menu" {
		t.Errorf("after a week there is %s", b.said())
	}
}

func TestOverRestart(t *testing.T) {
	b := newBench(t)
	said := b.set("debian", true, group("teachers"), machine(one))
	b.Follow(two, said[0].ID)
	b.End(func(string) []string { return nil })
	before := b.List()
	if b.restart(); !reflect.DeepEqual(b.List(), before) || b.log.Len() > 100 && strings.Contains(b.log.String(), "level=ERROR") {
		t.Errorf("%+v, before %+v\n%s", b.List(), before, b.log.String())
	}
	b.Follow(one, said[0].ID)
	if got := b.List()[1].Done; !slices.Equal(got, []string{one, two}) {
		t.Errorf("done: %v", got)
	}
}

// A room that follows at once is written down once, not by each machine.
func TestFollowersDoNotWaitForTheDisk(t *testing.T) {
	b := newBench(t)
	said := b.set("debian", true, group("desks"))
	written := func() string {
		text, err := os.ReadFile(filepath.Join(b.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := written()
	for i := range 100 {
		b.Follow(mac(i), said[0].ID)
	}
	if written() != before {
		t.Error("it is written while machines report")
	}
	none := func(string) []string { return nil }
	if b.End(none); !strings.Contains(written(), mac(99)) {
		t.Error("who has followed is not written down")
	}
	if err := os.Remove(filepath.Join(b.dir, file)); err != nil {
		t.Fatal(err)
	}
	b.End(none)
	if _, err := os.Stat(filepath.Join(b.dir, file)); err == nil {
		t.Error("it is written although nothing has changed")
	}
}

// A file that is torn or foreign stops nothing, and is kept for whoever wants to look.
func TestTornFile(t *testing.T) {
	for name, tear := range map[string]func(whole []byte) []byte{
		"half":         func(whole []byte) []byte { return whole[:len(whole)/2] },
		"empty":        func([]byte) []byte { return nil },
		"an empty one": func([]byte) []byte { return []byte(`[{}]`) },
		"something":    func([]byte) []byte { return []byte(`{"version": 7}`) },
		"a null":       func([]byte) []byte { return []byte("\x00\x00\x00") },
		"without whom": func([]byte) []byte { return []byte(`[{"id":"X","what":"debian"}]`) },
		"for two kinds": func([]byte) []byte {
			return []byte(`[{"id":"X","what":"debian","mac":"52:54:00:00:00:01","group":"all"}]`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.set("debian", false, machine(one))
			path := filepath.Join(b.dir, file)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			torn := tear(whole)
			if err := os.WriteFile(path, torn, 0o644); err != nil {
				t.Fatal(err)
			}
			b.restart()
			if len(b.List()) != 0 || !strings.Contains(b.log.String(), "say it again") {
				t.Errorf("%s; log %s", b.said(), b.log.String())
			}
			if kept, err := os.ReadFile(path + damagedEnding); err != nil || !bytes.Equal(kept, torn) {
				t.Errorf("kept %q, %v", kept, err)
			}
			b.set("menu", false, machine(two))
			if b.restart(); b.said() != two+"=menu" {
				t.Errorf("afterwards: %s", b.said())
			}
		})
	}
}

// What can't be written down counts all the same, is said, and is written down as soon as that is possible.
func TestDiskFails(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(filepath.Join(b.dir, file), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Set([]Target{machine(one)}, "debian", false); err == nil || !strings.Contains(err.Error(), "lost when the seeder is started again") {
		t.Errorf("error %v", err)
	}
	if b.said() != one+"=debian" {
		t.Errorf("said: %s", b.said())
	}
	if err := os.Remove(filepath.Join(b.dir, file)); err != nil {
		t.Fatal(err)
	}
	b.End(func(string) []string { return nil })
	if b.restart(); b.said() != one+"=debian" {
		t.Errorf("after a restart: %s", b.said())
	}
}

func TestBounds(t *testing.T) {
	b := newBench(t)
	var many []Target
	for i := range MaxEntries + 1 {
		many = append(many, machine(mac(i)))
	}
	if _, err := b.Set(many, "debian", false); err == nil || len(b.List()) != 0 {
		t.Errorf("%v; %d entries", err, len(b.List()))
	}
	b.set("debian", false, many[:MaxEntries]...)
	b.set("menu", false, many[:MaxEntries]...) // in place of the others
	if len(b.List()) != MaxEntries {
		t.Errorf("%d entries", len(b.List()))
	}
	var old, full []Entry
	done := make([]string, MaxDone)
	for i := range done {
		done[i] = mac(i)
	}
	old = append(old, Entry{ID: "a", Group: "a", What: "x", Once: true, Done: done[:10]}, Entry{ID: "c", MAC: one, What: "x"})
	full = append(old, Entry{ID: "b", Group: "b", What: "x", Once: true, Done: done})
	if got := bounded(full, slog.New(slog.DiscardHandler)); len(got) != 2 || got[0].ID != "c" || got[1].ID != "b" {
		t.Errorf("left are %d", len(got))
	}
}

func mac(i int) string {
	const hex = "0123456789abcdef"
	return "52:54:00:00:" + string([]byte{hex[i>>12&15], hex[i>>8&15], ':', hex[i>>4&15], hex[i&15]})
}

// What can't be in a catalog would keep all machines from getting one.
func TestNothingThatNodesRefuse(t *testing.T) {
	const everybody, mixed = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"
	b := newBench(t)
	for _, target := range []Target{machine(everybody), machine("x"), {}, {MAC: one, Group: "a"}} {
		if _, err := b.Set([]Target{machine(one), target}, "debian", false); err == nil || len(b.List()) != 0 {
			t.Errorf("%+v is taken: %v, %v", target, err, b.List())
		}
	}
	id := b.set("debian", true, group("desks"))[0].ID
	for _, mac := range []string{mixed, three, "x", one, two} {
		b.Follow(mac, id)
	}
	if got := b.List()[0].Done; !slices.Equal(got, []string{one, two, three}) {
		t.Errorf("done: %v", got)
	}
	for _, text := range []string{
		`[{"id":"a","mac":"` + everybody + `","what":"x"}]`, `[{"id":"a","group":"g","what":"x","once":true,"done":["` + mixed + `"]}]`,
		`[{"id":"a\u0007","group":"g","what":"x"}]`, `[{"id":"` + strings.Repeat("a", 64) + `","group":"g","what":"x"}]`,
	} {
		if err := os.WriteFile(filepath.Join(b.dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b.log.Reset()
		if b.restart(); len(b.List()) != 0 || !strings.Contains(b.log.String(), damagedEnding) {
			t.Errorf("%s is read: %v, %s", text, b.List(), b.log.String())
		}
	}
}

// Reports of machines that follow nothing don't wait while something is written down.
func TestMostReportsDoNotWait(t *testing.T) {
	b := newBench(t)
	b.mu.Lock() // as while it is
	defer b.mu.Unlock()
	if b.Awaits(one, "") {
		t.Error("it awaits nothing")
	}
	b.Follow(one, "")
}
