// Package client is a node's HTTP side towards the seeder: the signed catalog, torrents, and reports. In go a base URL
// and the public key of the image; out comes only what verified. The paths are those of package catalog.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// Limits on what a node reads into memory, in bytes, unpacked where the seeder sent it compressed, and how long, so that a
// confused server can't hang or fill it. Those of documents are package catalog's.
const (
	// maxAnswer is of an answer that is not kept.
	maxAnswer = 64 << 10
	timeout   = 20 * time.Second
)

// ErrGone is wrapped by Torrent, Files and MachineFiles when the seeder no longer offers that version of a system.
var ErrGone = errors.New("the seeder no longer offers this version")

// Untrusted is an error that says that a seeder sent what does not verify, or is not what was asked for.
type Untrusted struct{ error }

// Unwrap gives access to what did not verify.
func (u Untrusted) Unwrap() error { return u.error }

// Verified makes of the error of a check of what a seeder sent an Untrusted one; nil stays nil.
func Verified(err error) error {
	if err == nil {
		return nil
	}
	return Untrusted{err}
}

// Client speaks to one seeder.
type Client struct {
	// Base is the seeder's URL, without a slash at its end.
	Base string
	// Key is the public key the catalog must be signed with.
	Key minisign.PublicKey
	// HTTP is used if not nil.
	HTTP *http.Client
}

// Signed is a verified catalog with what it was verified by.
type Signed struct {
	*catalog.Catalog
	// Document and Signature are as the seeder served them.
	Document, Signature []byte
}

// Catalog fetches the catalog and its signature and verifies the one with the other.
func (c *Client) Catalog(ctx context.Context) (Signed, error) {
	// The document and its signature are two requests; a seeder that publishes in between them makes a pair that does
	// not match. A second try tells that from a wrong key.
	cat, err := c.catalog(ctx)
	if errors.Is(err, catalog.ErrSignature) {
		return c.catalog(ctx)
	}
	return cat, err
}

func (c *Client) catalog(ctx context.Context) (s Signed, err error) {
	if s.Document, err = c.get(ctx, catalog.PathCatalog, catalog.MaxDocument); err != nil {
		return s, err
	}
	if s.Signature, err = c.get(ctx, catalog.PathSignature, catalog.MaxSignature); err != nil {
		return s, err
	}
	s.Catalog, err = catalog.Open(c.Key, s.Document, s.Signature)
	return s, Verified(err)
}

// Seeders fetches the list of the seeders that this one knows. Nothing vouches for it.
func (c *Client) Seeders(ctx context.Context) (catalog.SeederList, error) {
	b, err := c.get(ctx, catalog.PathSeeders, catalog.MaxSeederList)
	if err != nil {
		return catalog.SeederList{}, err
	}
	list, err := catalog.OpenSeeders(b)
	return list, Verified(err)
}

// Torrent fetches the metainfo of a system. It is not checked here: swarm.CheckMetainfo does, against the catalog.
func (c *Client) Torrent(ctx context.Context, h catalog.InfoHash) ([]byte, error) {
	return c.version(ctx, h, catalog.TorrentPath(h), catalog.MaxTorrent)
}

// Files fetches the list of a system's files and verifies it by the catalog's entry.
func (c *Client) Files(ctx context.Context, sys catalog.System) (catalog.FileList, error) {
	b, err := c.version(ctx, sys.InfoHash, catalog.FileListPath(sys.InfoHash), catalog.MaxFileList)
	if err != nil {
		return nil, err
	}
	files, err := sys.OpenFiles(b)
	return files, Verified(err)
}

// MachineFiles fetches the archive of files for machines that a catalog lists. It is not checked here: machinefiles.Verify does.
func (c *Client) MachineFiles(ctx context.Context, f catalog.Files) ([]byte, error) {
	b, err := c.get(ctx, catalog.FilesPath(f.SHA256), catalog.MaxFileTree)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, fmt.Errorf("%w (of the files for %s)", ErrGone, f.For)
	}
	return b, err
}

// version fetches what belongs to a version of a system.
func (c *Client) version(ctx context.Context, h catalog.InfoHash, path string, limit int64) ([]byte, error) {
	b, err := c.get(ctx, path, limit)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, fmt.Errorf("%w (%s)", ErrGone, h)
	}
	return b, err
}

// Report posts a node's report, whatever the seeder has to say to that.
func (c *Client) Report(ctx context.Context, r report.Report) error {
	_, err := c.Exchange(ctx, r)
	return err
}

// Exchange posts a node's report, and returns what the seeder answers.
func (c *Client) Exchange(ctx context.Context, r report.Report) (report.Answer, error) {
	body, header, err := c.post(ctx, catalog.PathReport, r)
	return report.Answer{Order: body, Help: header.Get(report.HelpHeader)}, err
}

// Log posts lines of a node's log.
func (c *Client) Log(ctx context.Context, l report.Log) error {
	_, _, err := c.post(ctx, catalog.PathLog, l)
	return err
}

// StartLocal asks the seeder to have the firmware of the machine with an address start its own disk the next time.
func (c *Client) StartLocal(ctx context.Context, mac string) error {
	_, _, err := c.post(ctx, catalog.PathLocal, catalog.LocalRequest{MAC: mac})
	return err
}

func (c *Client) post(ctx context.Context, path string, value any) (answer []byte, header http.Header, err error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, nil, fmt.Errorf("encode what is posted to %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("post to %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, maxAnswer)
}

// ErrNotSeeder is wrapped by Probe where something answers that is no seeder.
var ErrNotSeeder = errors.New("something answers there, but it is no seeder of BootTorrent: check address and port")

// Probe finds out whether a seeder answers: with the signature of a catalog, which no other server has. Whose it is Catalog
// finds out.
func (c *Client) Probe(ctx context.Context) error {
	b, err := c.get(ctx, catalog.PathSignature, catalog.MaxSignature)
	var status *StatusError
	if errors.As(err, &status) && status.Code/100 != 5 { // a seeder that is starting up says 503
		return fmt.Errorf("%w (%w)", ErrNotSeeder, err)
	}
	if err != nil {
		return err
	}
	var signature minisign.Signature
	if err := signature.UnmarshalText(b); err != nil {
		return ErrNotSeeder
	}
	return nil
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	URL  string
	Code int
	// Text is the first line of the answer's body: the seeder explains itself there.
	Text string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: HTTP %d %s: %s", e.URL, e.Code, http.StatusText(e.Code), e.Text)
}

func (c *Client) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", path, err)
	}
	b, _, err := c.do(req, limit)
	return b, err
}

func (c *Client) do(req *http.Request, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), timeout, errNoAnswer)
	defer cancel()
	resp, err := c.client().Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("the seeder %s does not answer: %w", c.Base, plain(ctx, err))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: reading the answer: %w", req.Method, req.URL, plain(ctx, err))
	}
	if resp.StatusCode/100 != 2 {
		first, _, _ := bytes.Cut(b, []byte("\n"))
		return nil, nil, &StatusError{URL: req.URL.String(), Code: resp.StatusCode, Text: string(first[:min(len(first), 200)])}
	}
	if int64(len(b)) > limit {
		return nil, nil, Verified(fmt.Errorf("%s %s: the answer is longer than %d bytes", req.Method, req.URL, limit))
	}
	return b, resp.Header, nil
}

// errNoAnswer is what an answer that takes too long ends with.
var errNoAnswer = fmt.Errorf("nothing came within %s", timeout)

// plain takes from an error of net/http what repeats the request and the address, and prefers the reason why ctx ended.
func plain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if why, ok := seederurl.Unreachable(err); ok {
		return unreachable{why, err}
	}
	return err
}

// unreachable is an error in other words.
type unreachable struct {
	why string
	err error
}

func (u unreachable) Error() string { return u.why }
func (u unreachable) Unwrap() error { return u.err }

// direct ignores proxy variables, which have no meaning on a node, and keeps few idle connections.
var direct = &http.Client{Transport: &http.Transport{
	DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	MaxIdleConnsPerHost: 2,
	IdleConnTimeout:     30 * time.Second,
}}

func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return direct
}
