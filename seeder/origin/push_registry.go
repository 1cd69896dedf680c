package origin

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/version"
)

// repositoryArchive puts systems into a repository of a registry.
type repositoryArchive struct {
	repo      name.Repository
	tag       string
	transport http.RoundTripper
	options   []remote.Option
}

func (c *Client) pushTo(ctx context.Context, u originurl.URL) (archive, error) {
	repo, err := repository(u)
	if err != nil {
		return nil, err
	}
	t, err := c.login(ctx, repo, transport.PushScope)
	if err != nil {
		return nil, err
	}
	return repositoryArchive{repo, u.Tag, t, []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(c.transport), remote.WithUserAgent("seeder/" + version.Release),
	}}, nil
}

func (a repositoryArchive) with(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, a.options...)
}

func (a repositoryArchive) has(ctx context.Context, f catalog.File) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, registryURL(a.repo, "blobs", f.SHA256), nil)
	if err != nil {
		return false, err
	}
	resp, err := (&http.Client{Transport: a.transport}).Do(req)
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, statusError{resp.StatusCode}
}

func (a repositoryArchive) put(ctx context.Context, f catalog.File, open func() (io.ReadCloser, error)) error {
	return remote.WriteLayer(a.repo, layer{f, artifact.FileType, open}, a.with(ctx)...)
}

func (a repositoryArchive) finish(ctx context.Context, manifest []byte, digest string) (replaced string, err error) {
	empty := layer{catalog.File{Size: int64(len(artifact.Empty)), SHA256: artifact.EmptySHA256}, artifact.FileType,
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(artifact.Empty))), nil }}
	if err := remote.WriteLayer(a.repo, empty, a.with(ctx)...); err != nil {
		return "", err
	}
	if err := remote.Put(a.repo.Digest("sha256:"+digest), document(manifest), a.with(ctx)...); err != nil || a.tag == "" {
		return "", err
	}
	tag := a.repo.Tag(a.tag)
	if before, err := remote.Head(tag, a.with(ctx)...); err == nil && before.Digest.Hex != digest {
		replaced = before.Digest.Hex
	}
	return replaced, remote.Put(tag, document(manifest), a.with(ctx)...)
}

// document is a manifest as the library takes it.
type document []byte

func (d document) RawManifest() ([]byte, error) { return d, nil }

func (d document) MediaType() (types.MediaType, error) { return artifact.MediaType, nil }

// layer is a file as the library takes it: it is not compressed, so both of its digests are the same.
type layer struct {
	catalog.File
	kind string
	open func() (io.ReadCloser, error)
}

func (l layer) Digest() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: l.SHA256}, nil
}
func (l layer) DiffID() (v1.Hash, error)             { return l.Digest() }
func (l layer) Compressed() (io.ReadCloser, error)   { return l.open() }
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.open() }
func (l layer) Size() (int64, error)                 { return l.File.Size, nil }
func (l layer) MediaType() (types.MediaType, error)  { return types.MediaType(l.kind), nil }
