package keys

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	keyfiles "github.com/boottorrent/boottorrent/templates/keys"
)

// Roles of the three pairs, which are the names of the variables as well.
const (
	PK  = "PK"
	KEK = "KEK"
	DB  = "db"
)

var roles = []string{PK, KEK, DB}

// Made is what [Make] has done.
type Made struct {
	// Folder is where the keys are, Old where those are that were there before; empty if none were.
	Folder, Old string
	// Files are those that were written; none if all were there.
	Files []string
	// Lost are those that are missing, and can't be made again without secret keys that are not there.
	Lost []string
	// Certificate is db's.
	Certificate *x509.Certificate
}

// Make makes the keys of the site in dir, whose name goes into the certificates. Nothing is overwritten: with keys there it only makes again
// what is missing of what can be made of them; with replace all are new, and the folder with the old ones gets the ending .old.
func Make(dir, name string, replace bool, now time.Time) (Made, error) {
	made := Made{Folder: filepath.Join(dir, site.KeysDir)}
	entries, err := os.ReadDir(made.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made, fmt.Errorf("look for keys that are there: %w", err)
	}
	there := len(entries) > 0 // an empty folder is replaced by the new one
	if there && !replace {
		return made, made.mend(dir, name)
	}
	files, certificate, err := all(name, now)
	if err != nil {
		return made, err
	}
	made.Certificate = certificate
	temp, err := os.MkdirTemp(dir, ".keys-") // of mode 0700
	if err != nil {
		return made, fmt.Errorf("make the keys: %w", err)
	}
	defer os.RemoveAll(temp) // nothing when it was moved
	if made.Files, err = writeMissing(temp, files); err != nil {
		return made, fmt.Errorf("make the keys: %w", err)
	}
	if err := likeParent(dir, temp); err != nil {
		return made, fmt.Errorf("make the keys: %w", err)
	}
	if there {
		made.Old = unusedName(made.Folder + ".old")
		if err := os.Rename(made.Folder, made.Old); err != nil {
			return made, fmt.Errorf("keep the old keys: %w; nothing was changed", err)
		}
	}
	if err := os.Remove(made.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made, fmt.Errorf("make the keys: %w", err) // an empty folder is in the way, or isn't empty any more
	}
	if err := os.Rename(temp, made.Folder); err != nil {
		return made, fmt.Errorf("make the keys: %w", err)
	}
	return made, atomicfile.SyncFolder(dir)
}

// file is one of the folder's.
type file struct {
	name    string
	content []byte
	mode    fs.FileMode
}

// ignored keeps the secret keys out of a site's Git repository, whichever folder they are in. It is written before them.
var ignored = file{".gitignore", []byte("*.key\n"), 0o644}

// all are new keys with all that is made of them.
func all(name string, now time.Time) ([]file, *x509.Certificate, error) {
	set := map[string]*Key{}
	files := []file{ignored}
	for _, role := range roles {
		k, err := New(name, role, now)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(k.Private)
		if err != nil {
			return nil, nil, fmt.Errorf("encode a key: %w", err)
		}
		set[role] = k
		files = append(files, file{role + ".key", encodePEM("PRIVATE KEY", der), 0o600},
			file{role + ".crt", encodePEM("CERTIFICATE", k.Certificate.Raw), 0o644})
	}
	derived, lost, err := derive(name, set, now)
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("%v can't be made of new keys", lost)
	}
	return append(files, derived...), set[DB].Certificate, err
}

// mend writes what is missing and can be made of what is there.
func (m *Made) mend(dir, name string) error {
	set := map[string]*Key{}
	for _, role := range roles {
		k, err := load(dir, role)
		if err != nil {
			return fmt.Errorf("%w; '"+self.Mkimage()+" keys --new' makes new ones, which every machine that knows the old ones must be told", err)
		}
		set[role] = k
	}
	m.Certificate = set[DB].Certificate
	// What firmware has already must not be dated later than what is made again for another machine: the date is the keys' own.
	files, lost, err := derive(name, set, set[PK].Certificate.NotBefore.Add(validBefore))
	if err != nil {
		return err
	}
	for _, name := range lost {
		if _, err := os.Lstat(filepath.Join(m.Folder, name)); errors.Is(err, fs.ErrNotExist) {
			m.Lost = append(m.Lost, name)
		}
	}
	m.Files, err = writeMissing(m.Folder, append([]file{ignored}, files...))
	return errors.Join(err, likeParent(dir, m.Folder))
}

// derive makes everything of the pairs of keys that is not secret. lost are files that take a secret key that is elsewhere.
func derive(name string, set map[string]*Key, when time.Time) (files []file, lost []string, err error) {
	owner := ownerOf(set[PK].Certificate)
	lists := map[string][]byte{}
	for _, role := range roles {
		der := set[role].Certificate.Raw
		lists[role] = SignatureList(owner, der)
		files = append(files, file{role + ".der", der, 0o644}, file{role + ".esl", lists[role], 0o644})
	}
	for _, u := range []struct {
		name, by string
		Update
	}{
		{"PK.auth", PK, Update{PK, Global, Authenticated, lists[PK]}},
		{"KEK.auth", PK, Update{KEK, Global, Authenticated, lists[KEK]}},
		{"db.auth", KEK, Update{DB, ImageSecurity, Authenticated, lists[DB]}},
		{"KEK-append.auth", PK, Update{KEK, Global, Authenticated | Append, lists[KEK]}},
		{"db-append.auth", KEK, Update{DB, ImageSecurity, Authenticated | Append, lists[DB]}},
		{"PK-remove.auth", PK, Update{PK, Global, Authenticated, nil}},
	} {
		if set[u.by].Private == nil {
			lost = append(lost, u.name)
			continue
		}
		date := when
		if u.Content == nil {
			date = when.Add(time.Second) // it follows PK.auth
		}
		auth, err := set[u.by].Authenticate(u.Update, date)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, file{u.name, auth, 0o644})
	}
	readme, err := keyfiles.Readme(keyfiles.Facts{Site: name, DB: set[DB].Certificate})
	return append(files, file{"README.txt", readme, 0o644}), lost, err
}

// ownerOf is a version 8 UUID (RFC 9562) of PK: it tells in the firmware's lists whose the entries are.
func ownerOf(pk *x509.Certificate) (g GUID) {
	sum := sha256.Sum256(pk.Raw)
	copy(g[:], sum[:])
	g[7] = g[7]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

// writeMissing writes those files that a folder doesn't have, and returns their names.
func writeMissing(dir string, files []file) (written []string, err error) {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := atomicfile.Write(path, f.content, f.mode); err != nil {
			return written, err
		}
		written = append(written, f.name)
	}
	return written, nil
}

// likeParent gives a folder that root has made, and what is in it, to the owner of the site.
func likeParent(parent, dir string) error {
	info, err := os.Stat(parent)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.Lchown(filepath.Join(dir, e.Name()), int(owner.Uid), int(owner.Gid)))
	}
	return errors.Join(err, os.Lchown(dir, int(owner.Uid), int(owner.Gid)))
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
