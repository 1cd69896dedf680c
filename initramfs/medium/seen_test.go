package medium

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/mediumseen"
)

const key, otherKey = 0xabcdef, 0x123456

// stick is a machine with a stick whose boottorrent.seen has this content, and the stick's file.
func stick(t *testing.T, seen []byte) (d disks, path string) {
	t.Helper()
	d = newDisks(t)
	d.insert("sda", partitioned(t, volume(t, id, fat.File{Path: "before.txt", Data: bytes.Repeat([]byte("a"), 3000)},
		fat.File{Path: mediumseen.Name, Data: seen}, fat.File{Path: "boottorrent.conf", Data: []byte("timeout: 5\n")})))
	return d, filepath.Join(d.dev, "sda")
}

// boot finds the stick anew, as a machine does that is started from it.
func (d disks) boot() *Medium {
	d.t.Helper()
	m, err := d.find(long, d.t.Logf)
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

func (d disks) seen(key uint64) uint64 {
	d.t.Helper()
	n, err := d.boot().Seen(key)
	if err != nil {
		d.t.Error(err)
	}
	return n
}

// A stick knows over boots the highest counter, for the key of its site alone, and nothing else on it is ever another.
func TestRemember(t *testing.T) {
	d, path := stick(t, mediumseen.Blank())
	before := read(t, path)
	if n := d.seen(key); n != 0 {
		t.Errorf("a new stick has seen %d", n)
	}
	for _, step := range []struct{ key, counter, want uint64 }{
		{key, 100, 100}, {key, 99, 100}, {key, 100, 100}, {key, 101, 101}, {key, 300, 300}, {key, 5, 300},
	} {
		if err := d.boot().Remember(step.key, step.counter); err != nil {
			t.Fatal(err)
		}
		if n := d.seen(key); n != step.want {
			t.Errorf("after %d the stick knows %d, want %d", step.counter, n, step.want)
		}
	}
	if n := d.seen(otherKey); n != 0 {
		t.Errorf("of another site's catalogs it knows %d", n)
	}
	if err := d.boot().Remember(otherKey, 7); err != nil || d.seen(otherKey) != 7 {
		t.Errorf("with another site's image it knows %d, %v", d.seen(otherKey), err)
	}
	after := read(t, path)
	var sectors []int
	for at := 0; at < len(before); at += mediumseen.Sector {
		if !bytes.Equal(before[at:][:mediumseen.Sector], after[at:][:mediumseen.Sector]) {
			sectors = append(sectors, at)
		}
	}
	if len(sectors) != 2 || sectors[1]-sectors[0] != int(mediumseen.At[1]) || !mediumseen.IsRecord(before[sectors[0]:]) {
		t.Errorf("the sectors at %d are others", sectors)
	}
}

// A power cut while a record is written leaves the other one: what was seen before that.
func TestPowerCut(t *testing.T) {
	d, path := stick(t, mediumseen.Blank())
	for counter := uint64(100); counter < 106; counter++ {
		before := read(t, path)
		if err := d.boot().Remember(key, counter); err != nil {
			t.Fatal(err)
		}
		whole := read(t, path)
		at := firstDifference(t, before, whole) / mediumseen.Sector * mediumseen.Sector
		for name, torn := range map[string][]byte{
			"half a sector": append(bytes.Clone(whole[at:at+256]), before[at+256:at+512]...), "nothing": make([]byte, 512),
			"cut in the number": append(bytes.Clone(whole[at:at+130]), before[at+130:at+512]...),
		} {
			if bytes.Equal(torn, whole[at:at+512]) {
				continue // what was behind was the same
			}
			cut := bytes.Clone(whole)
			copy(cut[at:], torn)
			write(t, path, cut)
			want := counter - 1
			if counter == 100 {
				want = 0
			}
			if n := d.seen(key); n != want {
				t.Errorf("%s of the record of %d: the stick knows %d, want %d", name, counter, n, want)
			}
			if err := d.boot().Remember(key, counter); err != nil || d.seen(key) != counter {
				t.Errorf("%s: when it is written again the stick knows %d, %v", name, d.seen(key), err)
			}
		}
		write(t, path, whole)
	}
}

// What is not as mkimage made it is not written to.
func TestRememberElsewhere(t *testing.T) {
	foreign := bytes.Repeat([]byte("somebody's"), mediumseen.Size/10+1)[:mediumseen.Size]
	d, path := stick(t, foreign)
	before := read(t, path)
	if _, err := d.boot().Seen(key); !errors.Is(err, mediumseen.ErrDamaged) {
		t.Error(err)
	}
	if err := d.boot().Remember(key, 5); err == nil || !strings.Contains(err.Error(), "make the medium again") {
		t.Error(err)
	}
	short, shortPath := stick(t, mediumseen.Blank()[:600])
	if err := short.boot().Remember(key, 5); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	none := newDisks(t)
	none.insert("sda", volume(t, id))
	if _, err := none.boot().Seen(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stick of before: %v", err)
	}
	if !bytes.Equal(before, read(t, path)) || bytes.Contains(read(t, shortPath), []byte("counter 5")) {
		t.Error("it was written to")
	}
}

// A stick with a switch for it, or a disc: the file can't be opened for writing.
func TestWriteProtected(t *testing.T) {
	d, path := stick(t, mediumseen.Blank())
	m := d.boot()
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := m.Remember(key, 5); err == nil || !strings.Contains(err.Error(), "the medium sda: open") {
		t.Error(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func firstDifference(t *testing.T, a, b []byte) int {
	t.Helper()
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	t.Fatal("nothing was written")
	return 0
}
