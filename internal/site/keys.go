package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"aead.dev/minisign"
	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/self"
)

// keyError says what is wrong with a key file, and what to do. In do, DIR stands for the site's directory.
type keyError struct {
	file, what, do string
	err            error
}

func (e *keyError) Error() string {
	return fmt.Sprintf("%s %s; %s", e.file, e.what, e.remedy(filepath.Dir(e.file)))
}

// remedy is what to do for a site that messages call dir.
func (e *keyError) remedy(dir string) string {
	return strings.ReplaceAll(e.do, "DIR", shellquote.Join(dir))
}

func (e *keyError) Unwrap() error { return e.err }

// remake is how to get a key again that is lost.
func remake() string {
	return "restore it from a backup, or see what '" + self.Seeder() + " key DIR' can do"
}

// PublicKey reads boottorrent.pub, which nodes get built into their image. The error says what to do.
func (s *Site) PublicKey() (key minisign.PublicKey, err error) {
	file := filepath.Join(s.Dir, PublicKeyFile)
	body, err := readKey(file)
	if err != nil {
		return key, err
	}
	if err := key.UnmarshalText(body); err != nil {
		return key, &keyError{file, "is no minisign public key", remake(), err}
	}
	return key, nil
}

// SecretKey reads boottorrent.key, with which the seeder signs the catalog. The error says what to do.
func (s *Site) SecretKey() (key minisign.PrivateKey, err error) {
	file := filepath.Join(s.Dir, SecretKeyFile)
	if s.Mirrored {
		return key, errors.New("this is a mirror, which has no secret key: say it at the site's own seeder")
	}
	body, err := readKey(file)
	if err != nil {
		return key, err
	}
	if minisign.IsEncrypted(body) {
		return key, &keyError{file, "is protected by a password, and there is nobody to type it in",
			"remove the password: " + self.Seeder() + " key DIR", nil}
	}
	if err := key.UnmarshalText(body); err != nil {
		return key, &keyError{file, "is no minisign secret key", remake(), err}
	}
	return key, nil
}

func readKey(file string) ([]byte, error) {
	body, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &keyError{file, "does not exist", remake(), err}
	}
	if err != nil {
		return nil, &keyError{file, fmt.Sprintf("can't be read (%v)", cause(err)), "run this as the user that owns it", err}
	}
	return body, nil
}

// checkKeys reports keys that are missing or don't belong together. A missing secret key is only warned about: building
// an image needs the public one alone.
func checkKeys(c *checker, s *Site, dir string) {
	public, err := s.PublicKey()
	if s.Original && errors.Is(err, fs.ErrNotExist) {
		return // they are made when they are needed, see EnsureKeys
	}
	if err != nil {
		reportKey(c, filepath.Join(dir, PublicKeyFile), err)
		return
	}
	shown := filepath.Join(dir, SecretKeyFile)
	secret, err := s.SecretKey()
	if errors.Is(err, fs.ErrPermission) {
		c.warning(startOf(shown), "can't be read by this user, so nothing can be signed",
			"run this as the user that owns it, to serve this site; to build an image, the public key is enough")
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		c.warning(startOf(shown), "does not exist, so nothing can be signed here",
			strings.ReplaceAll(remake(), "DIR", shellquote.Join(dir))+", to serve this site; to build an image, the public key is enough")
		return
	}
	if err != nil {
		reportKey(c, shown, err)
		return
	}
	if !public.Equal(secret.Public()) {
		c.problem(startOf(shown), fmt.Sprintf("is key %016X, but %s is key %016X", secret.ID(), PublicKeyFile, public.ID()),
			strings.ReplaceAll("restore the two files that belong together, or see what '"+self.Seeder()+" key DIR' can do", "DIR", shellquote.Join(dir)))
	}
	info, err := os.Stat(filepath.Join(s.Dir, SecretKeyFile))
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		c.warning(startOf(shown), "is open to other users of this machine", "run: chmod 600 "+shown)
	}
}

func reportKey(c *checker, shown string, err error) {
	var e *keyError
	if errors.As(err, &e) {
		c.problem(startOf(shown), e.what, e.remedy(c.dir))
	}
}

// EnsureKeys makes the keys of a site of the original, which had none, and reports whether it did. Of other sites it makes
// none: their nodes would not trust them. Nothing else in the site is touched. Made by root, the keys belong to the folder's owner,
// who may want to build an image.
func EnsureKeys(s *Site) (made bool, err error) {
	if !s.Original {
		return false, nil
	}
	for _, name := range []string{PublicKeyFile, SecretKeyFile} {
		if _, err := os.Lstat(filepath.Join(s.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return false, nil // with one of the two missing, its reader says what to do
		}
	}
	files, err := newKeys()
	if err != nil {
		return false, fmt.Errorf("make the keys of %s: %w", s.Dir, err)
	}
	if err := writeFiles(s.Dir, files, likeFolder(s.Dir)); err != nil {
		return false, fmt.Errorf("make the keys of %s: %w", s.Dir, err)
	}
	return true, nil
}

// likeFolder gives a file that root makes to the owner of the folder.
func likeFolder(dir string) func(*os.File) error {
	return func(f *os.File) error {
		info, err := os.Stat(dir)
		if owner, ok := ownerOf(info); err == nil && ok && os.Geteuid() == 0 {
			err = f.Chown(int(owner.Uid), int(owner.Gid))
		}
		return err
	}
}

func ownerOf(info fs.FileInfo) (*syscall.Stat_t, bool) {
	if info == nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}
