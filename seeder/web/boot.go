package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/seeder/admit"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/bootname"
	"github.com/boottorrent/boottorrent/templates/ipxe"
)

func isImage(name string) bool { return slices.Contains(bootfiles.Names, name) }

// serveBoot serves what is below /boot/: the scripts, kernels and initramfs of all architectures, and the boot loaders.
func (s *Server) serveBoot(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case catalog.PathScript:
		s.serveScript(w, r, arch.AMD64)
		return
	case catalog.PathScriptARM64:
		s.serveScript(w, r, arch.ARM64)
		return
	case catalog.PathLoaded:
		if s.cfg.Loaded != nil {
			s.cfg.Loaded(clientAddr(r))
		}
		newDocument([]byte("ok\n")).serve(w, r, "text/plain; charset=utf-8")
		return
	case ipxe.VESAPath:
		newDocument(ipxe.VESA).serve(w, r, "application/octet-stream")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, catalog.PathBoot)
	if isImage(path.Base(name)) {
		s.serveImage(w, r, name)
		return
	}
	if name, file := s.loader(r, name); name != "" {
		s.serveLoader(w, r, name, file)
		return
	}
	notFound(w, "no such boot file; there are "+strings.Join(s.bootFiles(), ", "))
}

// serveImage sends a file of an image as it is at this moment, to its end.
func (s *Server) serveImage(w http.ResponseWriter, r *http.Request, name string) {
	f, err := s.cfg.Boot.Open(name)
	switch {
	case errors.Is(err, bootfiles.ErrReplaced):
		s.cfg.Log.Info("a node boots while the image is being replaced; it will start again", "client", r.RemoteAddr, "file", path.Base(name))
		notFound(w, "the image was replaced; load "+catalog.PathScript+" again")
		return
	case errors.Is(err, bootfiles.ErrUnsigned), errors.Is(err, fs.ErrNotExist) && s.cfg.NotYet != nil && s.published() == nil:
		s.unsigned(w, r, err)
		return
	case errors.Is(err, fs.ErrNotExist):
		s.cfg.Log.Warn("HTTP: boot file can't be read", "client", r.RemoteAddr, "err", err)
		notFound(w, "image/"+name+" is missing: run "+self.Mkimage()+" DIR, with the site's directory")
		return
	case err != nil:
		s.unreadable(w, r, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", bootType(f.Name))
	w.Header().Set("ETag", etag(f.SHA256))
	w.Header().Set("Cache-Control", "no-cache")
	if resp, ok := w.(*response); ok && s.cfg.Sending != nil && r.Method == http.MethodGet {
		resp.sent = s.cfg.Sending(clientAddr(r), r.URL.Path)
	}
	http.ServeContent(w, r, "", time.Time{}, f)
}

// loaderFiles are the paths of the boot loaders by their names, as they are now.
func (s *Server) loaderFiles() map[string]string {
	if s.cfg.Loaders == nil {
		return nil
	}
	return s.cfg.Loaders()
}

// loader is the boot loader that a client means by a name, and its path; both are empty if none is meant. Firmware and boot loaders
// ask for the next one by all sorts of names, see package bootname.
func (s *Server) loader(r *http.Request, asked string) (name, file string) {
	files := s.loaderFiles()
	name, _ = bootname.Find(files, asked, s.clients.Last(clientAddr(r)))
	return name, files[name]
}

// clientAddr is a client's address; the zero Addr if it has none, as in tests.
func clientAddr(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap()
}

// serveLoader sends a boot loader, which may be replaced by rename at any time.
func (s *Server) serveLoader(w http.ResponseWriter, r *http.Request, name, at string) {
	f, err := os.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Warn("HTTP: boot file can't be read", "client", r.RemoteAddr, "err", err)
		notFound(w, "the boot loader "+name+" is missing at the seeder: install the package it is from")
		return
	}
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	defer f.Close()
	sum, err := s.cfg.Boot.Hash(at, f)
	if errors.Is(err, bootfiles.ErrUnsigned) {
		s.unsigned(w, r, err)
		return
	}
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	s.clients.Loaded(clientAddr(r), name)
	w.Header().Set("Content-Type", bootType(name))
	w.Header().Set("ETag", etag(sum))
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// unsigned answers that a boot file is not served before it is the one that the site's key has signed.
func (s *Server) unsigned(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Log.Warn("HTTP: a boot file is not served", "client", r.RemoteAddr, "err", err)
	why := "the file here is not what the site's key has signed, and is being fetched"
	if s.published() == nil && s.cfg.NotYet != nil {
		why = s.cfg.NotYet()
	}
	admit.ComeAgain(w, why+"; come again in a few seconds")
}

func (s *Server) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Log.Warn("HTTP: boot file can't be read", "client", r.RemoteAddr, "err", err)
	http.Error(w, "the file can't be read at the seeder; see its log", http.StatusInternalServerError)
}

// bootType is the media type of a boot file. UEFI HTTP boot takes a file for a loader if it is called .efi or has the type
// application/efi (UEFI 2.10 section 24.7.3.1).
func bootType(name string) string {
	if strings.EqualFold(path.Ext(name), ".efi") {
		return "application/efi"
	}
	if name == image.HTTPDisk {
		return "application/vnd.efi-img"
	}
	return "application/octet-stream"
}

func (s *Server) serveScript(w http.ResponseWriter, r *http.Request, a arch.Arch) {
	if s.cfg.Script == nil {
		notFound(w, "this seeder makes no boot script")
		return
	}
	host, err := usedHost(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request := ScriptRequest{Host: host, Arch: a, Agent: r.UserAgent(), From: clientAddr(r)}
	request.Machine, request.Known = machineFacts(r, a)
	script, err := s.cfg.Script(request)
	if err != nil {
		s.cfg.Log.Error("HTTP: the boot script can't be made", "client", r.RemoteAddr, "err", err)
		http.Error(w, "the boot script can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	newDocument(script).serve(w, r, "text/plain; charset=utf-8")
}

// machineFacts are what the query of a script says of a machine, in the words of package ipxe; false: nothing that tells which it is.
func machineFacts(r *http.Request, a arch.Arch) (f rules.Facts, known bool) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	mac, err2 := net.ParseMAC(query.Get(ipxe.QueryMAC))
	if err != nil || err2 != nil || len(mac) != 6 {
		return f, false
	}
	f = rules.Facts{
		MAC: mac.String(), UUID: strings.ToLower(query.Get(ipxe.QueryUUID)), Serial: query.Get(ipxe.QuerySerial), Vendor: query.Get(ipxe.QueryVendor),
		Model: query.Get(ipxe.QueryModel), Arch: string(a), Firmware: catalog.FirmwareUEFI,
	}
	if query.Get(ipxe.QueryPlatform) == ipxe.PlatformBIOS {
		f.Firmware = catalog.FirmwareBIOS
	}
	f.Addr, _ = netip.ParseAddr(query.Get(ipxe.QueryIP)) // the zero one, where it is none
	return f, true
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
