package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestEnsureKeys(t *testing.T) {
	dir, s := originalSite(t, "original")
	for i, want := range []bool{true, false} {
		if made, err := EnsureKeys(s); err != nil || made != want {
			t.Fatalf("time %d: made %v, %v", i+1, made, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, SecretKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
	if _, err := s.SecretKey(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 {
		t.Errorf("beside the keys there are %v, %v", entries, err)
	}
	again, problems := Load(dir)
	if len(problems) > 0 || len(again.Warnings) != len(s.Warnings) {
		t.Errorf("with keys: %v, %v", problems, again.Warnings)
	}

	fresh, problems := Load(initSite(t, ""))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := os.Remove(filepath.Join(fresh.Dir, SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	if made, err := EnsureKeys(fresh); made || err != nil {
		t.Errorf("of a site of version 1: %v, %v", made, err)
	}
}

// What sudo makes, the owner of the folder can use.
func TestEnsureKeysForOwner(t *testing.T) {
	need.Root(t)
	dir, s := originalSite(t, "original")
	if err := os.Chown(dir, 12345, 54321); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureKeys(s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{SecretKeyFile, PublicKeyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if owner, ok := ownerOf(info); !ok || owner.Uid != 12345 || owner.Gid != 54321 {
			t.Errorf("%s is of user %d, group %d", name, owner.Uid, owner.Gid)
		}
	}
}
