package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/minio/minio-go/v7"

	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Error says why a file did not come, and what to do.
type Error struct {
	// File is its name in the system's folder, From where it was to come from.
	File, From string
	What, Do   string
	// Temporary says that it may come the next time. Wrong says that something else came, all of it: that is not tried again soon.
	Temporary, Wrong bool
	err              error
}

// Error is file: what is wrong; what to do.
func (e *Error) Error() string {
	s := e.What
	if e.From != "" {
		s = fmt.Sprintf("%s from %s: %s", e.File, e.From, e.What)
	}
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

// Unwrap is what the system or a library said.
func (e *Error) Unwrap() error { return e.err }

var (
	errStalled = errors.New("nothing came for a minute")
	errAnew    = errors.New("what came earlier was no part of it; it is fetched from the beginning")
	// errDowngrade is a redirect from https to http.
	errDowngrade = errors.New("leads to an address without TLS")
)

// statusError is an answer of a server that is no file.
type statusError struct{ code int }

func (e statusError) Error() string {
	return fmt.Sprintf("the server answers %d %s", e.code, http.StatusText(e.code))
}

// statusOf is the HTTP status that an error speaks of; 0: none.
func statusOf(err error) int {
	var status statusError
	var registry *transport.Error
	var s3 minio.ErrorResponse
	switch {
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &registry):
		return registry.StatusCode
	case errors.As(err, &s3):
		return s3.StatusCode
	}
	return 0
}

// explain says what a person can do about what kept a file from coming.
func explain(o site.Origin, err error) *Error {
	e := &Error{err: err}
	if !errors.As(err, &e) {
		e.What = said(err)
		e.Do, e.Temporary = remedy(o.URL, err)
	}
	e.File, e.From = o.Name(), o.URL.String()
	return e
}

// said is an error in words, without the URL that net/http puts before it: it may have a secret in it, and From says it.
func said(err error) string {
	if code := statusOf(err); code != 0 {
		return statusError{code}.Error()
	}
	var request interface{ Unwrap() error }
	if s := err.Error(); errors.As(err, &request) && strings.Contains(s, "://") {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			if s = inner.Error(); !strings.Contains(s, "://") {
				return s
			}
		}
		return "the request failed"
	}
	return err.Error()
}

// remedy says what to do about an error, and whether it may be gone the next time.
func remedy(u originurl.URL, err error) (do string, temporary bool) {
	switch code := statusOf(err); {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return login(u), false
	case code == http.StatusNotFound || code == http.StatusGone:
		return missing(u), false
	case code == http.StatusTooManyRequests || code >= 500 || code == http.StatusRequestTimeout:
		return "it is tried again; if that lasts, ask who runs the server", true
	case code != 0:
		return "open the URL in a browser, and correct it", false
	}
	return networkRemedy(u, err)
}

// login is what to do where somebody must log in.
func login(u originurl.URL) string {
	switch u.Scheme {
	case originurl.S3:
		return "give the seeder's process AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a file ~/.aws/credentials, of somebody who may read the bucket " + u.Host +
			", and write the server with ?endpoint=https://HOST where it is not Amazon's"
	case originurl.OCI:
		return "log in as the user that runs the seeder: docker login " + u.Host + " (or podman, skopeo), as somebody who may read " + u.Path
	}
	return "the file must be readable without a login; put it where it is, or into a bucket (s3://) or registry (oci://), which the seeder can log in to"
}

func missing(u originurl.URL) string {
	switch u.Scheme {
	case originurl.S3:
		return "look at the names of bucket and key, and with ?endpoint=https://HOST at the server that has them"
	case originurl.OCI:
		return "look at the name and the digest; of a version that was deleted in the registry, push it again"
	}
	return "correct the URL; where the publisher has removed that version, take a newer one with its digest"
}

// networkRemedy is remedy of what no server answered.
func networkRemedy(u originurl.URL, err error) (do string, temporary bool) {
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "look at this machine's clock (timedatectl); if that is right, ask who runs the server for a new certificate", false
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is signed by nobody whom this machine trusts: install its CA certificate (/usr/local/share/ca-certificates, update-ca-certificates), or set SSL_CERT_FILE", false
	case errors.As(err, new(x509.HostnameError)):
		return "write the name that its certificate is for", false
	case errors.As(err, new(tls.RecordHeaderError)), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "there is no TLS at that address; write http:// (or ?endpoint=http://) if that is meant: the digest guards the file all the same", false
	case errors.Is(err, errDowngrade):
		return "write the http:// URL that it leads to, if that is meant: the digest guards the file all the same", false
	case errors.As(err, &dns) && dns.IsNotFound:
		return "look at the name of the server, and at this machine's DNS", true
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on the disk, or make the folder " + site.StateDir + " of the site a link to where there is some", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: look at address and port, and whether the server runs; it is tried again", true
	case errors.Is(err, context.Canceled):
		return "", true
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return "make the folder " + site.FetchedDir + " of the site writable for the user that runs the seeder", false
	case errors.Is(err, errAnew), errors.Is(err, errStalled), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it goes on from there", true
	}
	return "look at the URL, and at this machine's way there; it is tried again", true
}
