package site

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// A secret key with a password is written anew without one; a wrong password changes nothing. (scrypt takes seconds, by design, so one
// encrypted key serves for both.)
func TestRekeyPassword(t *testing.T) {
	dir := initSite(t, "")
	file := filepath.Join(dir, SecretKeyFile)
	secret, err := (&Site{Dir: dir}).SecretKey()
	if err != nil {
		t.Fatal(err)
	}
	locked, err := minisign.EncryptKey("open sesame", secret)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, locked)
	say := func(word string) func() (string, error) { return func() (string, error) { return word, nil } }
	if _, _, err := Rekey(dir, false, say("wrong")); err == nil || !strings.Contains(err.Error(), "the password is wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	if body, err := os.ReadFile(file); err != nil || string(body) != string(locked) {
		t.Errorf("a wrong password changed the key: %v", err)
	}
	nobody := errors.New("nobody is there")
	if _, _, err := Rekey(dir, false, func() (string, error) { return "", nobody }); !errors.Is(err, nobody) {
		t.Errorf("without a person: %v", err)
	}
	change, public, err := Rekey(dir, false, say("open sesame"))
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
