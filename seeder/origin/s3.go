package origin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

// s3 reads objects of a bucket (Amazon S3, and servers that speak its protocol).
type s3 struct{ *Client }

// amazon is the server where neither URL nor environment names one.
const amazon = "https://s3.amazonaws.com"

// bucket is a client for a URL. What the environment doesn't say of credentials, files do; without any, requests are not signed.
func (c *Client) bucket(u originurl.URL) (*minio.Core, error) {
	said := cmp.Or(u.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), amazon)
	base, err := originurl.ParseEndpoint(said)
	if err != nil {
		return nil, fmt.Errorf("AWS_ENDPOINT_URL: %w", err)
	}
	server, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return minio.NewCore(server.Host, &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{},
		}),
		Secure: server.Scheme == originurl.HTTPS, Transport: c.transport, MaxRetries: 1,
		Region: cmp.Or(u.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	})
}

func (s s3) open(ctx context.Context, o site.Origin, at position) (*body, error) {
	bucket, err := s.bucket(o.URL)
	if err != nil {
		return nil, err
	}
	key := o.URL
	if o.Manifest() {
		key = key.Blob(o.SHA256)
	}
	var opts minio.GetObjectOptions
	if at.from > 0 {
		opts.Set("Range", fmt.Sprintf("bytes=%d-", at.from))
		if at.validator != "" {
			if err := opts.SetMatchETag(at.validator); err != nil {
				return nil, err
			}
		}
	}
	r, info, header, err := bucket.GetObject(ctx, key.Host, key.Path, opts)
	if err != nil {
		if code := statusOf(err); at.from > 0 && (code == http.StatusPreconditionFailed || code == http.StatusRequestedRangeNotSatisfiable) {
			return s.open(ctx, o, position{})
		}
		return nil, err
	}
	b := &body{ReadCloser: r, size: info.Size, validator: info.ETag}
	if header.Get("Content-Range") != "" {
		b.from, b.size = at.from, at.from+info.Size
	}
	return b, nil
}
