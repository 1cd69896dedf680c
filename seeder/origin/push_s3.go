package origin

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
)

// bucketArchive puts systems below a prefix of a bucket, each file under a key with its SHA-256.
type bucketArchive struct {
	bucket *minio.Core
	prefix originurl.URL
}

func (a bucketArchive) has(ctx context.Context, f catalog.File) (bool, error) {
	info, err := a.bucket.StatObject(ctx, a.prefix.Host, a.prefix.Blob(f.SHA256).Path, minio.StatObjectOptions{})
	if statusOf(err) == http.StatusNotFound {
		return false, nil // or the bucket isn't there, which putting says
	}
	return err == nil && info.Size == f.Size, err
}

func (a bucketArchive) put(ctx context.Context, f catalog.File, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return a.write(ctx, a.prefix.Blob(f.SHA256).Path, r, f.Size, "application/octet-stream")
}

// partSize is what is sent with one request, in bytes: of each part in memory there is one at a time. S3 takes 10,000 parts.
const partSize = 64 << 20

func (a bucketArchive) write(ctx context.Context, key string, r io.Reader, size int64, kind string) error {
	part := uint64(partSize)
	if most := uint64(size)/9000 + 1; most > part {
		part = most
	}
	_, err := a.bucket.Client.PutObject(ctx, a.prefix.Host, key, r, size, minio.PutObjectOptions{ContentType: kind, PartSize: part, NumThreads: 1})
	return err
}

func (a bucketArchive) finish(ctx context.Context, manifest []byte, digest string) (replaced string, err error) {
	return "", a.write(ctx, a.prefix.Blob(digest).Path, bytes.NewReader(manifest), int64(len(manifest)), artifact.MediaType)
}
