package origin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
)

// File is one to be put somewhere.
type File struct {
	// Path is its name in the system's folder, slash-separated, From where it is here.
	Path, From string
}

// Pushed says what became of a push.
type Pushed struct {
	// From is what belongs into from: of a config.yaml.
	From string
	// Sent and There are how many files were sent and were there already, Bytes what was sent.
	Sent, There int
	Bytes       int64
	// Replaced is the digest that the tag had before, if it was another one.
	Replaced string
}

// archive is where systems are put.
type archive interface {
	// has reports whether what has a SHA-256 is there, put brings it, and finish makes the manifest known. A tag that had
	// another digest is moved, and that digest returned.
	has(ctx context.Context, f catalog.File) (bool, error)
	put(ctx context.Context, f catalog.File, open func() (io.ReadCloser, error)) error
	finish(ctx context.Context, manifest []byte, digest string) (replaced string, err error)
}

// Push puts files, config.yaml among them, to where u leads. What is there already is not sent again. progress is told of each file
// that is sent or was found.
func (c *Client) Push(ctx context.Context, u originurl.URL, files []File, progress func(f catalog.File, there bool)) (p Pushed, err error) {
	var m artifact.Manifest
	from := map[string]string{}
	for _, f := range files {
		sum, size, err := sumOf(ctx, f.From)
		if err != nil {
			return p, err
		}
		m.Files = append(m.Files, catalog.File{Path: f.Path, Size: size, SHA256: sum})
		from[sum] = f.From
	}
	manifest, err := m.Encode()
	if err != nil {
		return p, err
	}
	if _, err := artifact.Parse(manifest); err != nil {
		return p, fmt.Errorf("the system can't be had back from there: %w", err)
	}
	to, err := c.archive(ctx, u)
	if err != nil {
		return p, explainPush(u, err)
	}
	for _, f := range m.Files {
		there, err := to.has(ctx, f)
		if err == nil && !there {
			err = to.put(ctx, f, func() (io.ReadCloser, error) { return os.Open(from[f.SHA256]) })
		}
		if err != nil {
			return p, explainPush(u, fmt.Errorf("%s: %w", f.Path, err))
		}
		if there {
			p.There++
		} else {
			p.Sent++
			p.Bytes += f.Size
		}
		progress(f, there)
	}
	sum := sha256.Sum256(manifest)
	digest := hex.EncodeToString(sum[:])
	if p.Replaced, err = to.finish(ctx, manifest, digest); err != nil {
		return p, explainPush(u, err)
	}
	u.Digest = digest
	p.From = u.Whole()
	return p, nil
}

func (c *Client) archive(ctx context.Context, u originurl.URL) (archive, error) {
	if u.Scheme == originurl.OCI {
		return c.pushTo(ctx, u)
	}
	b, err := c.bucket(u)
	return bucketArchive{b, u}, err
}

func sumOf(ctx context.Context, path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, contextReader{ctx, f})
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// explainPush says what a person can do about what kept a system from being put somewhere.
func explainPush(u originurl.URL, err error) error {
	do, _ := remedy(u, err)
	switch code := statusOf(err); {
	case (code == 401 || code == 403) && u.Scheme == originurl.OCI:
		do = "log in as somebody who may write there: docker login " + u.Host
	case code == 401 || code == 403:
		do = "give this process AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a file ~/.aws/credentials, of somebody who may write to the bucket " + u.Host
	case code == 404 && u.Scheme == originurl.S3:
		do = "make the bucket first, or look at its name and at ?endpoint="
	}
	return fmt.Errorf("put the system to %s: %w; %s", u, err, do)
}
