package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// cleanPath returns the request with its path as the server's are: one slash between two names, no "." and "..", and no escapes
// that hide a slash. http.ServeMux redirects all others to the clean path, and firmware fails at that: UEFI HTTP boot at
// "http://host/ipxe//ipxe.efi" (tinkerbell/smee, pull request 229; tianocore/edk2, issue 9714), a Raspberry Pi (rpi-eeprom, issue
// 475). Two slashes come of a base that ends in one and a path that begins with one. Below /boot/ a backslash is a slash, as for
// TFTP; elsewhere it may stand in the name of a system's file.
func cleanPath(r *http.Request) *http.Request {
	clean := path.Clean("/" + r.URL.Path)
	if slashed := path.Clean("/" + strings.ReplaceAll(r.URL.Path, `\`, "/")); strings.HasPrefix(slashed, catalog.PathBoot) {
		clean = slashed
	}
	if clean != "/" && strings.HasSuffix(r.URL.Path, "/") {
		clean += "/"
	}
	// RawPath is set where escapes hide something: the mux would match by it.
	if r.Method == http.MethodConnect || clean == r.URL.Path && r.URL.RawPath == "" {
		return r
	}
	out := *r
	out.URL = new(url.URL)
	*out.URL = *r.URL
	out.URL.Path, out.URL.RawPath = clean, ""
	return &out
}
