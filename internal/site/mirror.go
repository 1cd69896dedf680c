package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/seederurl"
	sitefiles "github.com/boottorrent/boottorrent/templates/site"
)

// MirrorFile is the configuration of a mirror: what is local of it. All else is its site's, and comes from another seeder.
const MirrorFile = "mirror.yaml"

// Mirror is a checked directory of a mirror.
type Mirror struct {
	// Site has what is local: where to serve, DHCP, ports, racks, limits, log, and who may change something on the page. It has no systems, and
	// its name is that of the directory until the site's is known.
	*Site
	// Upstream are the base URLs of the seeders that are followed, of which the first that answers is.
	Upstream []string
	// Carry are the names of the systems whose files are fetched before a machine wants them; nil: all.
	Carry []string
	// Disk is what the files of systems may take, in bytes; 0: no bound.
	Disk int64
}

// Carries reports whether a system's files are fetched before a machine wants them.
func (m *Mirror) Carries(system string) bool {
	if m.Carry == nil {
		return true
	}
	for _, name := range m.Carry {
		if name == system {
			return true
		}
	}
	return false
}

// InitMirror makes the directory of a mirror that follows the seeder at a base URL and believes the key, as boottorrent.pub has it. What is there
// already stays, but for another key: that is an error.
func InitMirror(dir, upstream string, key minisign.PublicKey) error {
	if IsSite(dir) {
		return fmt.Errorf("%s is a site of its own (%s); give the mirror a folder of its own", dir, ConfigFile)
	}
	config, err := sitefiles.Mirror(upstream)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the mirror: %w", err)
	}
	there := &Site{Dir: dir}
	switch has, err := there.PublicKey(); {
	case err == nil && !has.Equal(key):
		return fmt.Errorf("%s has the key %016X, and you gave %016X; a mirror follows one site: give it another folder, or the key that it has",
			filepath.Join(dir, PublicKeyFile), has.ID(), key.ID())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	pub, err := key.MarshalText()
	if err != nil {
		return err
	}
	for _, f := range []newFile{{MirrorFile, config, 0o644}, {PublicKeyFile, append(pub, '\n'), 0o644}} {
		file, err := os.OpenFile(filepath.Join(dir, f.path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			_, err = file.Write(f.body)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			return fmt.Errorf("make the mirror: %w", err)
		}
	}
	return nil
}

// IsMirror reports whether a directory is one of a mirror.
func IsMirror(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, MirrorFile))
	return err == nil && !IsSite(dir)
}

// IsSite reports whether a directory has the configuration of a site.
func IsSite(dir string) bool {
	for _, name := range []string{ConfigFile, OriginalFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// CheckSecretKey reads the file of a secret key, which has to belong to the mirror's public key, and returns its content.
func (m *Mirror) CheckSecretKey(file string) ([]byte, error) {
	body, err := readKey(file)
	if err != nil {
		return nil, err
	}
	if minisign.IsEncrypted(body) {
		return nil, fmt.Errorf("%s is protected by a password, and a seeder has nobody to type it in; give the key that the site's seeder uses", file)
	}
	var key minisign.PrivateKey
	if err := key.UnmarshalText(body); err != nil {
		return nil, fmt.Errorf("%s is no minisign secret key (%w); give the site's %s", file, err, SecretKeyFile)
	}
	public, err := m.PublicKey()
	if err != nil {
		return nil, err
	}
	if !public.Equal(key.Public()) {
		return nil, fmt.Errorf("%s is the key %016X, and this is a mirror of the site with the key %016X: nodes would refuse what it signs; give that site's %s",
			file, key.ID(), public.ID(), SecretKeyFile)
	}
	return body, nil
}

// LoadMirror reads and checks the directory of a mirror. With problems there is none.
func LoadMirror(dir string) (*Mirror, Problems) {
	c := &checker{dir: dir}
	s, err := emptySite(dir)
	if err != nil {
		c.problem(startOf(dir), err.Error(), "name the mirror's directory")
		return nil, c.problems
	}
	s.Mirrored = true
	m := &Mirror{Site: s}
	if config := readDocument(c, os.DirFS(s.Dir), MirrorFile, filepath.Join(dir, MirrorFile)); config != nil {
		readMirror(config, m)
	}
	if _, err := s.PublicKey(); err != nil {
		reportKey(c, filepath.Join(dir, PublicKeyFile), err)
	}
	c.sort()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	s.Warnings = c.warnings
	return m, nil
}

func readMirror(m *mapping, to *Mirror) {
	s := to.Site
	for _, t := range m.texts("upstream") {
		base, err := seederurl.Base(t.value)
		if err != nil {
			m.check.problem(t.place, fmt.Sprintf("upstream: %v", err), "write ADDRESS, ADDRESS:PORT or http://ADDRESS:PORT")
		}
		to.Upstream = append(to.Upstream, base)
	}
	if len(to.Upstream) == 0 {
		m.check.problem(m.place("upstream"), "upstream names no seeder to follow", "write upstream: [ADDRESS:PORT]")
	}
	if m.has("systems") {
		to.Carry = []string{}
		for _, t := range m.texts("systems") {
			to.Carry = append(to.Carry, t.value)
		}
	}
	to.Disk = m.bytes("disk")
	readServe(m.mapping("serve"), &s.Serve)
	readDHCP(m.mapping("dhcp"), s)
	readPorts(m.mapping("ports"), &s.Ports)
	s.Racks = readRacks(m)
	log := m.mapping("log")
	s.Log.Level = log.oneOf("level", "info", "debug", "info", "warn", "error")
	s.Log.Format = log.oneOf("format", "text", "text", "json")
	log.done()
	limits := m.mapping("limits")
	seeder := limits.mapping("seeder")
	s.Limits.Seeder = seeder.rate("upload")
	seeder.done()
	limits.done()
	s.Page = readPage(m.mapping("page"))
	m.done()
}

// bytes reads a number of bytes with its unit; 0 if it is absent or empty.
func (m *mapping) bytes(key string) int64 {
	t := m.text(key, "")
	if t.value == "" {
		return 0
	}
	n, err := humanize.ParseBytes(t.value)
	if err != nil || n == 0 || n > 1<<62 {
		m.check.problem(t.place, fmt.Sprintf("%s%s is %q", m.path, key, t.value), `write a number and its unit, such as "200 GB"; empty is no bound`)
		return 0
	}
	return int64(n)
}
