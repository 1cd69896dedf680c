// Package upstream reads what a seeder publishes, and believes only what the site's key has signed: in go a base URL and the public key,
// out come catalog, boot manifest, torrents, lists of files and boot files. A mirror fetches by it, and `seeder verify` compares.
package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Seeder is one that is read from. Its methods may be called concurrently.
type Seeder struct {
	// Base is its URL, without a slash at the end.
	Base string
	// Key is the site's public key.
	Key minisign.PublicKey
	// Header returns what is sent with a request for the catalog; may be nil.
	Header func() http.Header
	// Client is used if not nil; else one whose requests end after silence.
	Client *http.Client
}

// Signed is a document with the signature of exactly these bytes.
type Signed[T any] struct {
	Value               T
	Document, Signature []byte
	// Tag is the document's entity tag.
	Tag string
}

const (
	// silence is how long a server may say nothing before its answer begins, and within it.
	silence = 30 * time.Second
	// dialTime is how long a connection may take: one that is switched off must not keep others waiting.
	dialTime = 5 * time.Second
	// documentTime is how long a document may take, besides the time in which the longest one comes at slowest, in bytes/s: a server that goes
	// on sending a byte now and then must not keep a mirror from asking another.
	documentTime = 2 * time.Minute
	slowest      = 32 << 10
)

// ErrUnchanged is what Catalog returns where the seeder has no other catalog than the one that was named.
var ErrUnchanged = errors.New("there is no other catalog")

// ErrGone says that the seeder has no such document or file any more.
var ErrGone = errors.New("the seeder has it no longer")

// Catalog reads the catalog. With the tag of one that was read before, the seeder is asked to wait for another one; where there is none after
// wait, or at once if the seeder can't wait, the error is ErrUnchanged.
func (s *Seeder) Catalog(ctx context.Context, tag string, wait time.Duration) (Signed[*catalog.Catalog], error) {
	header := http.Header{}
	if s.Header != nil {
		header = s.Header()
	}
	if tag != "" {
		header.Set("If-None-Match", tag)
		header.Set("Prefer", "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	return signed(ctx, s, header, catalog.PathCatalog, catalog.PathSignature, catalog.MaxDocument, catalog.Open)
}

// Manifest reads the boot manifest.
func (s *Seeder) Manifest(ctx context.Context) (Signed[*catalog.BootManifest], error) {
	return signed(ctx, s, nil, catalog.PathManifest, catalog.PathManifestSignature, catalog.MaxManifest, catalog.OpenManifest)
}

// signed reads a document and its signature and opens it. The two are two requests: a pair that doesn't match is read once more, as
// something may have been published in between.
func signed[T any](ctx context.Context, s *Seeder, header http.Header, path, signaturePath string, limit int64,
	open func(minisign.PublicKey, []byte, []byte) (T, error)) (out Signed[T], err error) {
	for range 2 {
		if out.Document, out.Tag, err = s.document(ctx, header, path, limit); err != nil {
			return out, err
		}
		if out.Signature, _, err = s.document(ctx, nil, signaturePath, catalog.MaxSignature); err != nil {
			return out, err
		}
		if out.Value, err = open(s.Key, out.Document, out.Signature); !errors.Is(err, catalog.ErrSignature) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("%s%s: %w", s.Base, path, err)
	}
	return out, err
}

// Seeders reads the list of the site's seeders that this one knows. It is not signed.
func (s *Seeder) Seeders(ctx context.Context) (catalog.SeederList, error) {
	b, _, err := s.document(ctx, nil, catalog.PathSeeders, catalog.MaxSeederList)
	if err != nil {
		return catalog.SeederList{}, err
	}
	list, err := catalog.OpenSeeders(b)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.Base, err)
	}
	return list, err
}

// Version is what belongs to a version of a system or runtime.
type Version struct {
	System  catalog.System
	Torrent []byte
	// Files are those of FileList, the document that System.List identifies.
	Files    catalog.FileList
	FileList []byte
}

// Version reads torrent and list of files of what the catalog lists; the list is the catalog's. The torrent is not compared with it here:
// swarm.CheckMetainfo does.
func (s *Seeder) Version(ctx context.Context, sys catalog.System) (v Version, err error) {
	v.System = sys
	if v.FileList, _, err = s.document(ctx, nil, catalog.FileListPath(sys.InfoHash), catalog.MaxFileList); err != nil {
		return v, err
	}
	if v.Files, err = sys.OpenFiles(v.FileList); err != nil {
		return v, fmt.Errorf("%s: %w", s.Base, err)
	}
	v.Torrent, _, err = s.document(ctx, http.Header{catalog.HeaderListed: {"1"}}, catalog.TorrentPath(sys.InfoHash), catalog.MaxTorrent)
	return v, err
}

// MachineFiles reads an archive of files for machines that the catalog lists.
func (s *Seeder) MachineFiles(ctx context.Context, f catalog.Files) ([]byte, error) {
	path := catalog.FilesPath(f.SHA256)
	b, _, err := s.document(ctx, nil, path, catalog.MaxFileTree)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, fmt.Errorf("%s%s is not what the catalog says: its SHA-256 is %x", s.Base, path, sum)
	}
	return b, nil
}

// BootFile reads a boot file into w, and returns an error unless it is what the manifest says.
func (s *Seeder) BootFile(ctx context.Context, f catalog.BootFile, w io.Writer) error {
	at := s.Base + (&url.URL{Path: catalog.PathBoot + f.Path}).EscapedPath()
	resp, err := s.get(ctx, at, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(resp.Body, f.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("GET %s: %w", at, err)
	case n > f.Size:
		return fmt.Errorf("%s is longer than the %d bytes that were signed", at, f.Size)
	case n < f.Size:
		return fmt.Errorf("%s has %d bytes, and %d were signed", at, n, f.Size)
	case hex.EncodeToString(h.Sum(nil)) != f.SHA256:
		return fmt.Errorf("%s is not what was signed: its SHA-256 is %x, want %s", at, h.Sum(nil), f.SHA256)
	}
	return nil
}

// document reads an answer of up to limit bytes, and its entity tag.
func (s *Seeder) document(ctx context.Context, header http.Header, path string, limit int64) (b []byte, tag string, err error) {
	most := documentTime + time.Duration(limit/slowest)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it had not come to its end after %s", most))
	defer cancel()
	resp, err := s.get(ctx, s.Base+path, header)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if b, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("the answer is longer than %d bytes", limit)
	}
	if err != nil {
		err = fmt.Errorf("GET %s%s: %w", s.Base, path, err)
	}
	return b, resp.Header.Get("ETag"), err
}

// get asks for something; the answer is 200. Reading its body ends when nothing comes for the time of silence, and says why it ended.
func (s *Seeder) get(ctx context.Context, at string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := s.client().Do(req)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Body = &answer{ctx, awake(resp.Body, cancel), resp.Body, cancel}
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp, nil
	case resp.StatusCode == http.StatusNotModified && req.Header.Get("If-None-Match") != "":
		err = ErrUnchanged
	case resp.StatusCode == http.StatusNotFound:
		err = fmt.Errorf("%w: %s", ErrGone, resp.Status)
	case resp.StatusCode/100 == 3 && resp.Header.Get("Location") != "":
		err = fmt.Errorf("%s, to %.100q: redirects of seeders are not followed", resp.Status, resp.Header.Get("Location"))
	default:
		first, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		err = fmt.Errorf("%s: %s", resp.Status, first)
	}
	resp.Body.Close()
	return nil, fmt.Errorf("GET %s: %w", at, err)
}

// direct ignores proxy variables: seeders are in the site's own networks. It follows no redirect: a stranger that is looked at must not have
// requests sent elsewhere.
var direct = &http.Client{Transport: &http.Transport{
	DialContext:           (&net.Dialer{Timeout: dialTime, KeepAlive: silence}).DialContext,
	ResponseHeaderTimeout: silence + 10*time.Second, IdleConnTimeout: time.Minute,
}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (s *Seeder) client() *http.Client {
	if s.Client != nil {
		return s.Client
	}
	return direct
}

// ReadKey reads a site's public key from a file, boottorrent.pub.
func ReadKey(path string) (key minisign.PublicKey, err error) {
	pub, err := os.ReadFile(path)
	if err != nil {
		return key, err
	}
	if err := key.UnmarshalText(pub); err != nil {
		return key, fmt.Errorf("%s: %w; give the site's boottorrent.pub", path, err)
	}
	return key, nil
}
