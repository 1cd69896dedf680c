package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	sitefiles "github.com/boottorrent/boottorrent/templates/site"
)

// newFile is a file of a new site; path is relative to it, slash-separated.
type newFile struct {
	path string
	body []byte
	mode fs.FileMode
}

// Init makes a site in dir, which is made if it does not exist: a commented boottorrent.yaml, oss/ with a README, a
// minisign key pair, and a .gitignore. An empty name becomes the folder's. If any of the files exists, the error lists
// them and nothing is changed.
func Init(dir, name string) error {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("make site %s: %w", dir, err)
	}
	if name == "" {
		name = filepath.Base(absolute)
	}
	if !isSiteName(name) {
		return fmt.Errorf("make site %s: %q can't be a site's name; give one of up to 64 printable bytes with --name", dir, name)
	}
	files, err := newFiles(name)
	if err != nil {
		return fmt.Errorf("make site %s: %w", dir, err)
	}
	if err := refuseExisting(dir, files); err != nil {
		return err
	}
	if err := writeFiles(dir, files, nil); err != nil {
		return fmt.Errorf("make site %s: %w", dir, err)
	}
	return nil
}

func isSiteName(name string) bool {
	printable := !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	return printable && utf8.ValidString(name) && strings.TrimSpace(name) != "" && len(name) <= 64
}

func newFiles(name string) ([]newFile, error) {
	config, err := sitefiles.Config(name)
	if err != nil {
		return nil, err
	}
	keys, err := newKeys()
	if err != nil {
		return nil, err
	}
	return append([]newFile{
		{ConfigFile, config, 0o644},
		{".gitignore", sitefiles.Gitignore(), 0o644},
		{SystemsDir + "/README", sitefiles.SystemsReadme(), 0o644},
	}, keys...), nil
}

// newKeys makes a pair of keys.
func newKeys() ([]newFile, error) {
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	publicText, err := public.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	secretText, err := secret.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("encode secret key: %w", err)
	}
	return []newFile{{PublicKeyFile, publicText, 0o644}, {SecretKeyFile, secretText, 0o600}}, nil
}

func refuseExisting(dir string, files []newFile) error {
	var existing []string
	for _, f := range append(files, newFile{path: OriginalFile}) {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.path)))
		if err == nil {
			existing = append(existing, f.path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make site %s: %w", dir, err)
		}
	}
	if len(existing) > 0 {
		return fmt.Errorf("make site %s: it has %s already; nothing was changed. Name an empty or new directory, or move these away",
			dir, strings.Join(existing, ", "))
	}
	return nil
}

// writeFiles makes all the files or, if one fails, none. each, unless nil, is called with each while it is open.
func writeFiles(dir string, files []newFile, each func(*os.File) error) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, SystemsDir), 0o755); err != nil {
		return err
	}
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				os.Remove(path)
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.path))
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if err != nil {
			return err
		}
		made = append(made, path)
		_, err = file.Write(f.body)
		if err == nil && each != nil {
			err = each(file)
		}
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return atomicfile.SyncFolder(dir)
}
