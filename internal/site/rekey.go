package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aead.dev/minisign"
	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/self"
)

// KeyChange is what [Rekey] did.
type KeyChange string

// The changes.
const (
	// KeysKept: both keys were there and belong together.
	KeysKept KeyChange = "kept"
	// KeysMade: both are new.
	KeysMade KeyChange = "made"
	// PublicRestored: the public key was written again from the secret one.
	PublicRestored KeyChange = "restored"
	// PasswordRemoved: the secret key had one.
	PasswordRemoved KeyChange = "password removed"
)

// Rekey mends the pair of keys of the site in dir. What is lost is made again from what is left: the public key from the secret one;
// with neither of them, or if replace is set, both are new. Nothing is overwritten: what was there before gets the ending .old. unlock
// returns the secret key that a file with a password has in it.
func Rekey(dir string, replace bool, unlock func(locked []byte) (minisign.PrivateKey, error)) (KeyChange, minisign.PublicKey, error) {
	c := &checker{dir: dir}
	if isSite(c, dir) == "" {
		return "", minisign.PublicKey{}, c.problems
	}
	s, err := emptySite(dir)
	if err != nil {
		return "", minisign.PublicKey{}, err
	}
	change, err := s.rekey(replace, unlock)
	if err != nil {
		return "", minisign.PublicKey{}, err
	}
	public, err := s.PublicKey()
	return change, public, err
}

func (s *Site) rekey(replace bool, unlock func([]byte) (minisign.PrivateKey, error)) (KeyChange, error) {
	if replace {
		return KeysMade, s.replaceKeys()
	}
	change := KeysKept
	removed, err := s.removePassword(unlock)
	if err != nil {
		return "", err
	}
	if removed {
		change = PasswordRemoved
	}
	public, publicErr := s.PublicKey()
	secret, secretErr := s.SecretKey()
	renew := "'" + self.Seeder() + " key --new DIR' makes a new pair, for which everything that nodes start must be built again"
	switch {
	case errors.Is(publicErr, fs.ErrNotExist) && errors.Is(secretErr, fs.ErrNotExist):
		return KeysMade, s.replaceKeys()
	case errors.Is(secretErr, fs.ErrNotExist):
		return "", &keyError{filepath.Join(s.Dir, SecretKeyFile), "is lost, and nothing can be made of the public key",
			"restore it from a backup; if there is none, " + renew, secretErr}
	case secretErr != nil:
		return "", fmt.Errorf("%w; %s", secretErr, strings.ReplaceAll(renew, "DIR", shellquote.Join(s.Dir)))
	case publicErr != nil:
		return PublicRestored, s.restorePublic(secret)
	case !public.Equal(secret.Public()):
		return "", &keyError{filepath.Join(s.Dir, SecretKeyFile), fmt.Sprintf("is key %016X, but %s is key %016X", secret.ID(), PublicKeyFile, public.ID()),
			fmt.Sprintf("restore the other half of the one whose images you have; to go on with %s, remove %s, run this again, and then: "+self.Mkimage()+" DIR",
				SecretKeyFile, PublicKeyFile), nil}
	}
	return change, nil
}

// replaceKeys makes a new pair in place of what there is.
func (s *Site) replaceKeys() error {
	files, err := newKeys()
	if err != nil {
		return err
	}
	return s.writeKeys(files)
}

func (s *Site) restorePublic(secret minisign.PrivateKey) error {
	public, ok := secret.Public().(minisign.PublicKey)
	if !ok {
		return fmt.Errorf("%s has no public key in it; restore it from a backup", filepath.Join(s.Dir, SecretKeyFile))
	}
	text, err := public.MarshalText()
	if err != nil {
		return err
	}
	return s.writeKeys([]newFile{{PublicKeyFile, text, 0o644}})
}

// removePassword writes the secret key anew without its password, if it has one.
func (s *Site) removePassword(unlock func([]byte) (minisign.PrivateKey, error)) (bool, error) {
	file := filepath.Join(s.Dir, SecretKeyFile)
	body, err := os.ReadFile(file)
	if err != nil || !minisign.IsEncrypted(body) {
		return false, nil // whoever reads it next says what is wrong
	}
	secret, err := unlock(body)
	if err != nil {
		return false, fmt.Errorf("%s: %w; run this again", file, err)
	}
	text, err := secret.MarshalText()
	if err != nil {
		return false, err
	}
	return true, s.writeKeys([]newFile{{SecretKeyFile, text, 0o600}})
}

// writeKeys writes key files. What had their names before gets the ending .old, or .old2 and so on.
func (s *Site) writeKeys(files []newFile) error {
	for _, f := range files {
		path := filepath.Join(s.Dir, f.path)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(path, unusedName(path+".old")); err != nil {
			return fmt.Errorf("keep the old key: %w; nothing was changed", err)
		}
	}
	if err := writeFiles(s.Dir, files, likeFolder(s.Dir)); err != nil {
		return fmt.Errorf("write the keys: %w; the old ones have the ending .old", err)
	}
	return nil
}

// unusedName is path, or path with a number behind it.
func unusedName(path string) string {
	name := path
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		name = fmt.Sprint(path, n)
	}
}
