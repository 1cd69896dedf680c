// Package origin brings files of systems from elsewhere, and puts systems there: from: of a config.yaml, and seeder push. In goes a
// site.Origin (URL, SHA-256, how long the file may be); out comes a file of that content, under its SHA-256 in the site's
// FetchedDir. Nothing has that name before its content was found right: what is on the way is SHA256.part, from which the next
// attempt goes on (RFC 9110, 14: Range, If-Range).
//
// There is a driver for each kind of URL, listed in [Kinds]. Credentials come from the environment or from files that other programs
// keep, never from the site, and are not logged.
package origin

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Kind is one kind of places that files come from.
type Kind struct {
	// Form is how a URL of it is written, Credentials where what it takes to log in comes from.
	Form, Credentials string
	// Archive says that systems can be put there.
	Archive bool
}

// Kinds are all kinds, for help and documentation.
var Kinds = []Kind{
	{"https://HOST/PATH (or http://)", "none; who needs a proxy sets HTTPS_PROXY", false},
	{"s3://BUCKET/KEY[?endpoint=https://HOST&region=NAME]", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or " +
		"~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE); without endpoint AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else Amazon's", true},
	{"oci://REGISTRY/NAME", "those of 'docker login' (~/.docker/config.json, DOCKER_CONFIG) and 'podman login'", true},
}

// driver reads what URLs of one kind name.
type driver interface {
	// open begins to read a file.
	open(ctx context.Context, o site.Origin, at position) (*body, error)
}

// position is where to go on with a file.
type position struct {
	// from is how many bytes are here already. validator tells that the file there is still the same (an ETag); empty: nothing is known.
	from      int64
	validator string
}

// body is a file that is being read.
type body struct {
	io.ReadCloser
	// from is how many bytes of it come before: those of the position, or 0 where the server begins anew.
	from int64
	// size is the whole file's, in bytes; -1: it is not known.
	size      int64
	validator string
}

// Client brings files.
type Client struct {
	transport http.RoundTripper
	// stall is how long nothing may come; pause is between attempts, doubled after each, and attempts how many may bring nothing.
	stall, pause time.Duration
	attempts     int
	// busy has the files that are being fetched, by their path; a channel is closed when its fetch has ended.
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// New is a client. transport is what HTTP requests go through; nil: http.DefaultTransport.
func New(transport http.RoundTripper) *Client {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = time.Minute
		transport = t
	}
	return &Client{transport: transport, stall: time.Minute, pause: time.Second, attempts: 4, busy: map[string]chan struct{}{}}
}

func (c *Client) driver(u originurl.URL) driver {
	switch u.Scheme {
	case originurl.S3:
		return s3{c}
	case originurl.OCI:
		return registry{c}
	}
	return web{c}
}

// Probe asks whether a file is there, without fetching it, and returns its size; -1: it is not said. A size other than the origin's is an error.
func (c *Client) Probe(ctx context.Context, o site.Origin) (size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	b, err := c.driver(o.URL).open(ctx, o, position{})
	if err != nil {
		return -1, explain(o, err)
	}
	defer b.Close()
	return b.size, fits(o, b.size)
}

// Here reports whether the file of an origin is in the folder dir.
func Here(dir string, o site.Origin) bool {
	info, err := os.Lstat(filepath.Join(dir, o.SHA256))
	return err == nil && info.Mode().IsRegular()
}
