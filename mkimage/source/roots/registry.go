package roots

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/version"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// registry is an image in a registry (OCI distribution specification). Credentials are those that docker and podman have; the
// library talks HTTP without TLS only to this machine and to private addresses that are written as numbers.
type registry struct{ ref name.Reference }

func (r registry) String() string { return r.ref.Name() }

func (r registry) image(ctx context.Context, arches []arch.Arch) (v1.Image, error) {
	d, err := remote.Get(r.ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithUserAgent("mkimage/"+version.Release), remote.WithPlatform(v1.Platform{OS: nodeOS, Architecture: string(arches[0])}))
	if err != nil {
		return nil, r.explain(err)
	}
	if d.MediaType.IsIndex() {
		index, err := d.ImageIndex()
		if err != nil {
			return nil, r.explain(err)
		}
		img, err := choose(index, "", arches)
		return img, r.explain(err)
	}
	img, err := d.Image()
	return img, r.explain(err)
}

// layer downloads a layer, as it is read twice. The library compares its sum.
func (r registry) layer(ctx context.Context, j *source.Job, l v1.Layer, index int) (tree.Layer, error) {
	size, err := l.Size()
	if err != nil {
		return tree.Layer{}, r.explain(err)
	}
	stream, err := l.Compressed()
	if err != nil {
		return tree.Layer{}, r.explain(err)
	}
	defer stream.Close()
	path := filepath.Join(j.Temp, fmt.Sprintf("layer-%d", index))
	if err := j.Copy(ctx, fmt.Sprintf("download layer %d", index+1), stream, size, path); err != nil {
		return tree.Layer{}, r.explain(err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil { // at its end the sum is compared
		return tree.Layer{}, r.explain(err)
	}
	return tree.Layer{Name: layerName(l, index), Size: size, Open: func() (io.ReadCloser, error) { return os.Open(path) }}, nil
}

// explain says what a person can do about a registry's answer.
func (r registry) explain(err error) error {
	host := r.ref.Context().RegistryStr()
	var refused *transport.Error
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%s lets nobody read %s without a login that may; log in first: docker login %[1]s (or podman, skopeo): %[3]w", host, r.ref.String(), err)
	case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s has no image %s; look at its name and tag: %w", host, r.ref, err)
	case errors.As(err, &refused) && refused.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%s serves no more for now; wait, or log in: docker login %[1]s: %[2]w", host, err)
	case errors.As(err, &dns):
		return fmt.Errorf("there is no file %s here, and the registry's name %s can't be resolved: %w", r.ref, host, err)
	case errors.As(err, &authority):
		return fmt.Errorf("the certificate of %s is signed by nobody whom this machine trusts; install its CA certificate (package ca-certificates): %w", host, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s speaks HTTP without TLS, which is done only with this machine; use skopeo copy --src-tls-verify=false docker://%s oci:FOLDER and import that: %w", host, r.ref, err)
	}
	return fmt.Errorf("%s: %w", r.ref, err)
}
