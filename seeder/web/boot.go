package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/templates/ipxe"
)

// images are phase 1's kernel and initramfs, and both in one.
var images = []string{image.Kernel, image.Initramfs, image.UKI}

func isImage(name string) bool { return slices.Contains(images, name) }

// serveBoot serves what is below /boot/: the script, kernel and initramfs, and the boot loaders.
func (s *Server) serveBoot(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, catalog.PathBoot)
	if r.URL.Path == catalog.PathScript {
		s.serveScript(w, r)
		return
	}
	if r.URL.Path == ipxe.VESAPath {
		newDocument(ipxe.VESA).serve(w, r, "application/octet-stream")
		return
	}
	_, rest, byContent := strings.Cut(name, "/")
	if byContent && isImage(rest) {
		name = rest
	}
	if isImage(name) {
		s.serveBootFile(w, r, bootFile{name, filepath.Join(s.cfg.ImageDir, name), byContent,
			"image/" + name + " is missing: run mkimage DIR, with the site's directory"})
		return
	}
	if file, ok := s.cfg.Loaders[name]; ok {
		s.serveBootFile(w, r, bootFile{name, file, false, "the boot loader " + name + " is missing at the seeder: install the " +
			"package it is from (Debian: ipxe)"})
		return
	}
	notFound(w, "no such boot file; there are "+strings.Join(s.bootFiles(), ", "))
}

// bootFile is a file below /boot/ that may be replaced by rename at any time.
type bootFile struct {
	name, path string
	// byContent: it was asked for by its catalog.BootPath.
	byContent bool
	// missing is what the client is told if it isn't there.
	missing string
}

// serveBootFile sends what the file is at this moment, to its end.
func (s *Server) serveBootFile(w http.ResponseWriter, r *http.Request, b bootFile) {
	f, sum, err := s.openBootFile(b.path)
	if err != nil {
		s.cfg.Log.Warn("HTTP: boot file can't be read", "client", r.RemoteAddr, "err", err)
		if errors.Is(err, fs.ErrNotExist) {
			notFound(w, b.missing)
		} else {
			http.Error(w, "the file can't be read at the seeder; see its log", http.StatusInternalServerError)
		}
		return
	}
	defer f.Close()
	if b.byContent && r.URL.Path != catalog.BootPath(b.name, sum) {
		s.cfg.Log.Info("a node boots while the image is being replaced; it will start again", "client", r.RemoteAddr, "file", b.name)
		notFound(w, "the image was replaced; load "+catalog.PathScript+" again")
		return
	}
	w.Header().Set("Content-Type", bootType(b.name))
	w.Header().Set("ETag", etag(sum))
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// openBootFile opens a file and returns its SHA-256.
func (s *Server) openBootFile(path string) (*os.File, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	sum, err := s.hashes.sum(path, f)
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, sum, nil
}

// imagePath is the path of kernel or initramfs as it is now. Of one that can't be read it is the plain path, where the
// node will be told why.
func (s *Server) imagePath(name string) string {
	f, sum, err := s.openBootFile(filepath.Join(s.cfg.ImageDir, name))
	if err != nil {
		return catalog.PathBoot + name
	}
	f.Close()
	return catalog.BootPath(name, sum)
}

// bootType is the media type of a boot file. UEFI HTTP boot takes a file for a loader if it is called .efi or has the type
// application/efi (UEFI 2.10 section 24.7.3.1).
func bootType(name string) string {
	if strings.EqualFold(path.Ext(name), ".efi") {
		return "application/efi"
	}
	return "application/octet-stream"
}

func (s *Server) serveScript(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Script == nil {
		notFound(w, "this seeder makes no boot script")
		return
	}
	host, err := usedHost(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kernel, initrd := s.imagePath(image.Kernel), s.imagePath(image.Initramfs)
	script, err := s.cfg.Script(host, kernel, initrd)
	if err != nil {
		s.cfg.Log.Error("HTTP: the boot script can't be made", "client", r.RemoteAddr, "err", err)
		http.Error(w, "the boot script can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	newDocument(script).serve(w, r, "text/plain; charset=utf-8")
}

// hostPattern is a name or an IPv4 address, or an IPv6 address in brackets, and maybe a port.
var hostPattern = regexp.MustCompile(`^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// usedHost is the address by which the client found this server: as it wrote it, so that a forwarded port works too.
func usedHost(r *http.Request) (string, error) {
	if hostPattern.MatchString(r.Host) {
		return r.Host, nil
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == "" {
		return addr.String(), nil
	}
	return "", fmt.Errorf("host %.100q is no address to make a boot script for", r.Host)
}

// hashCache keeps the SHA-256 of files until they change. The zero value is ready.
type hashCache struct {
	mu   sync.Mutex
	sums map[string]hashed
}

type hashed struct {
	info os.FileInfo
	sum  string
}

// sum returns the SHA-256 of the open file f, in hexadecimal, and leaves f at its start. key is its path. A room that starts
// at once waits for one hashing.
func (c *hashCache) sum(key string, f *os.File) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &os.PathError{Op: "read", Path: key, Err: errors.New("not a regular file")}
	}
	if h, ok := c.sums[key]; ok && os.SameFile(h.info, info) && h.info.Size() == info.Size() && h.info.ModTime().Equal(info.ModTime()) {
		return h.sum, nil
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if c.sums == nil {
		c.sums = map[string]hashed{}
	}
	h := hashed{info, hex.EncodeToString(digest.Sum(nil))}
	c.sums[key] = h
	return h.sum, nil
}
