package uefivars

import (
	"bytes"
	"encoding/pem"
	"os"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/mkimage/keys"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(need.File(t, path, "ovmf"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Debian's variables with a key for tests have that key's certificate in PK, KEK and db; what is added stands behind it, and nothing
// else changes.
func TestAddToDB(t *testing.T) {
	file := read(t, "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
	block, _ := pem.Decode(read(t, "/usr/share/ovmf/PkKek-1-snakeoil.pem"))
	before, attributes, err := Get(file, "db", keys.ImageSecurity)
	if err != nil || !bytes.HasSuffix(before, block.Bytes) || attributes != keys.Authenticated {
		t.Fatalf("db is not what Debian has put there: %d bytes, attributes %x, %v", len(before), attributes, err)
	}
	added := []byte("a certificate")
	out, err := AddToDB(file, added)
	if err != nil || len(out) != len(file) {
		t.Fatalf("%d bytes, want %d: %v", len(out), len(file), err)
	}
	after, attributes, err := Get(out, "db", keys.ImageSecurity)
	if err != nil || !bytes.HasPrefix(after, before) || !bytes.HasSuffix(after, added) || attributes != keys.Authenticated {
		t.Errorf("db became %d bytes, attributes %x: %v", len(after), attributes, err)
	}
	pk, _, err := Get(file, "PK", keys.Global)
	if same, _, _ := Get(out, "PK", keys.Global); err != nil || pk == nil || !bytes.Equal(same, pk) {
		t.Errorf("PK changed: %v", err)
	}
}

// A variable that isn't there yet is made, and one can be set again and again.
func TestAddToMOK(t *testing.T) {
	file := read(t, "/usr/share/OVMF/OVMF_VARS_4M.ms.fd")
	if content, _, err := Get(file, "MokList", MOK); content != nil || err != nil {
		t.Fatalf("there is a MokList already: %v", err)
	}
	for n := 1; n <= 3; n++ {
		var err error
		if file, err = AddToMOK(file, []byte("certificate")); err != nil {
			t.Fatal(err)
		}
		if content, _, err := Get(file, "MokList", MOK); err != nil || bytes.Count(content, []byte("certificate")) != n {
			t.Errorf("after %d times: %q, %v", n, content, err)
		}
	}
	if _, err := Set(file, "Large", MOK, 3, make([]byte, 300<<10)); err == nil {
		t.Error("more is put in than there is room for")
	}
}

func TestOtherFiles(t *testing.T) {
	file := read(t, "/usr/share/OVMF/OVMF_VARS_4M.ms.fd")
	for name, b := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 1000), "a part": file[:1000]} {
		if _, _, err := Get(b, "db", keys.ImageSecurity); err == nil {
			t.Errorf("%s is taken for a file of variables", name)
		}
	}
}
