package origin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

// registry reads manifests and blobs of a registry (OCI distribution specification 1.1, "Pull"). The library logs in; the requests are
// ours, as it knows no ranges.
type registry struct{ *Client }

func (r registry) open(ctx context.Context, o site.Origin, at position) (*body, error) {
	repo, err := repository(o.URL)
	if err != nil {
		return nil, err
	}
	t, err := r.login(ctx, repo, transport.PullScope)
	if err != nil {
		return nil, err
	}
	if o.Manifest() {
		return get(ctx, t, registryURL(repo, "manifests", o.SHA256), position{}, []string{artifact.MediaType, "*/*"})
	}
	return get(ctx, t, registryURL(repo, "blobs", o.SHA256), at, nil)
}

// repository is what a URL names.
func repository(u originurl.URL) (name.Repository, error) {
	reg, err := name.NewRegistry(u.Host)
	if err != nil {
		return name.Repository{}, fmt.Errorf("%q is no registry: %w", u.Host, err)
	}
	return reg.Repo(u.Path), nil
}

// login makes a transport that has the credentials of docker's and podman's files, where there are some. It talks HTTP without TLS only
// to this machine and to private addresses that are written as numbers.
func (c *Client) login(ctx context.Context, repo name.Repository, scope string) (http.RoundTripper, error) {
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, repo)
	if err != nil {
		return nil, fmt.Errorf("the credentials of docker can't be read: %w", err)
	}
	return transport.NewWithContext(ctx, repo.Registry, auth, c.transport, []string{repo.Scope(scope)})
}

func registryURL(repo name.Repository, what, digest string) string {
	return fmt.Sprintf("%s://%s/v2/%s/%s/sha256:%s", repo.Scheme(), repo.RegistryStr(), repo.RepositoryStr(), what, digest)
}
