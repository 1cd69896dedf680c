package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/seederurl"
	"github.com/boottorrent/boottorrent/internal/text"
)

type verifyCmd struct {
	Seeder string `arg:"" help:"The seeder, or who hands on what it serves: ADDRESS, ADDRESS:PORT or a URL."`
	Key    string `arg:"" type:"existingfile" help:"The site's public key, boottorrent.pub."`
}

// Run fetches what machines start before they have a catalog, as any of them would, and compares it with what the site's key has signed.
func (c verifyCmd) Run(ctx context.Context, term terminal) error {
	base, err := seederurl.Base(c.Seeder)
	if err != nil {
		return err
	}
	pub, err := os.ReadFile(c.Key)
	if err != nil {
		return err
	}
	var key minisign.PublicKey
	if err := key.UnmarshalText(pub); err != nil {
		return fmt.Errorf("%s: %w; give the site's boottorrent.pub", c.Key, err)
	}
	cat, err := signed(ctx, base, catalog.PathCatalog, catalog.PathSignature, catalog.MaxDocument, key, catalog.Open)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "the catalog of %q is signed by the key %016X, and has the counter %d\n", cat.Site, key.ID(), cat.Counter)
	m, wrong, err := verifyFiles(ctx, base, key)
	if err != nil {
		return err
	}
	for _, err := range wrong {
		fmt.Fprintln(term.Err, err)
	}
	if len(wrong) > 0 {
		fmt.Fprintf(term.Err, "%s: not as the boot manifest with the counter %d says: %s of %d\n", base, m.Counter, text.Count(len(wrong), "boot file"), len(m.Files))
		return cli.ErrReported
	}
	_, err = fmt.Fprintf(term.Out, "%s: as the boot manifest with the counter %d says: %s\n", base, m.Counter, text.Count(len(m.Files), "boot file"))
	return err
}

// verifyFiles compares the boot files with what the boot manifest says of them, and returns what is wrong with each. Where the image was
// replaced meanwhile it begins once more.
func verifyFiles(ctx context.Context, base string, key minisign.PublicKey) (m *catalog.BootManifest, wrong []error, err error) {
	manifest := func() (*catalog.BootManifest, error) {
		return signed(ctx, base, catalog.PathManifest, catalog.PathManifestSignature, catalog.MaxManifest, key, catalog.OpenManifest)
	}
	if m, err = manifest(); err != nil {
		return nil, nil, err
	}
	for again := true; ; again = false {
		wrong = nil
		for _, f := range m.Files {
			if err := verifyFile(ctx, base, f); err != nil {
				wrong = append(wrong, err)
			}
		}
		if len(wrong) == 0 || !again {
			return m, wrong, nil
		}
		now, err := manifest()
		if err != nil || now.Counter == m.Counter {
			return m, wrong, nil
		}
		m = now
	}
}

// signed fetches a document and its signature and opens it. The two are two requests: a pair that doesn't match is fetched once more, as
// something may have been published in between.
func signed[T any](ctx context.Context, base, path, signaturePath string, limit int64, key minisign.PublicKey,
	open func(minisign.PublicKey, []byte, []byte) (T, error)) (out T, err error) {
	for range 2 {
		var document, signature []byte
		if document, err = fetch(ctx, base+path, limit); err != nil {
			return out, err
		}
		if signature, err = fetch(ctx, base+signaturePath, catalog.MaxSignature); err != nil {
			return out, err
		}
		if out, err = open(key, document, signature); !errors.Is(err, catalog.ErrSignature) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("%s%s: %w", base, path, err)
	}
	return out, err
}

// fetch reads an answer of up to limit bytes.
func fetch(ctx context.Context, url string, limit int64) (b []byte, err error) {
	err = get(ctx, url, func(r io.Reader) error {
		if b, err = io.ReadAll(io.LimitReader(r, limit+1)); err == nil && int64(len(b)) > limit {
			err = fmt.Errorf("GET %s: the answer is longer than %d bytes", url, limit)
		}
		return err
	})
	return b, err
}

// verifyFile compares a boot file with what the manifest says of it.
func verifyFile(ctx context.Context, base string, f catalog.BootFile) error {
	url := base + (&url.URL{Path: catalog.PathBoot + f.Path}).EscapedPath()
	return get(ctx, url, func(r io.Reader) error {
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(r, f.Size+1))
		switch {
		case err != nil:
			return fmt.Errorf("GET %s: %w", url, err)
		case n > f.Size:
			return fmt.Errorf("%s is longer than the %d bytes that were signed", url, f.Size)
		case n < f.Size:
			return fmt.Errorf("%s has %d bytes, and %d were signed", url, n, f.Size)
		case hex.EncodeToString(h.Sum(nil)) != f.SHA256:
			return fmt.Errorf("%s is not what was signed: its SHA-256 is %x, want %s", url, h.Sum(nil), f.SHA256)
		}
		return nil
	})
}

// silence is how long a server may say nothing before its answer begins.
const silence = 30 * time.Second

func get(ctx context.Context, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{ResponseHeaderTimeout: silence, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return read(resp.Body)
}
