package site

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"
)

// A secret key with a password is written anew without one; a wrong password changes nothing.
func TestRekeyPassword(t *testing.T) {
	dir := initSite(t, "")
	file := filepath.Join(dir, SecretKeyFile)
	secret, err := (&Site{Dir: dir}).SecretKey()
	if err != nil {
		t.Fatal(err)
	}
	locked := lock(t, secret)
	write(t, file, locked)
	wrong := errors.New("the password is wrong")
	if _, _, err := Rekey(dir, false, func([]byte) (minisign.PrivateKey, error) { return minisign.PrivateKey{}, wrong }); !errors.Is(err, wrong) {
		t.Errorf("with a wrong password: %v", err)
	}
	if body, err := os.ReadFile(file); err != nil || string(body) != string(locked) {
		t.Errorf("a wrong password changed the key: %v", err)
	}
	change, public, err := Rekey(dir, false, func(got []byte) (minisign.PrivateKey, error) {
		if string(got) != string(locked) {
			t.Errorf("to be unlocked it gets %q", got)
		}
		return secret, nil
	})
	if err != nil || change != PasswordRemoved || !public.Equal(secret.Public()) {
		t.Fatalf("%q, key %016X, %v; want the password removed from key %016X", change, public.ID(), err, secret.ID())
	}
	if again, err := (&Site{Dir: dir}).SecretKey(); err != nil || !again.Equal(secret) {
		t.Errorf("the key is now %016X, %v", again.ID(), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info, err)
	}
}
