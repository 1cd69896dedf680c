package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/version"
)

// web reads files by HTTP.
type web struct{ *Client }

func (w web) open(ctx context.Context, o site.Origin, at position) (*body, error) {
	whole := o.URL
	if o.Manifest() {
		whole = whole.Blob(o.SHA256)
	}
	return get(ctx, w.transport, whole.Whole(), at, nil)
}

// maxRedirects is net/http's own number.
const maxRedirects = 10

// get requests a file from a position on.
func get(ctx context.Context, transport http.RoundTripper, url string, at position, accept []string) (*body, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "seeder/"+version.Release)
	req.Header.Set("Accept-Encoding", "identity") // the digest is that of the file as it is
	for _, a := range accept {
		req.Header.Add("Accept", a)
	}
	if at.from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at.from))
		if at.validator != "" {
			req.Header.Set("If-Range", at.validator)
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := answered(resp, at)
	if errors.Is(err, errNoRange) {
		return get(ctx, transport, url, position{}, accept)
	}
	return b, err
}

// errNoRange says that a server has nothing from a position on: the file there is shorter, or another one.
var errNoRange = errors.New("the server has no such range")

// answered is the file in an answer.
func answered(resp *http.Response, at position) (*body, error) {
	b := &body{ReadCloser: resp.Body, size: resp.ContentLength, validator: strong(resp.Header)}
	switch resp.StatusCode {
	case http.StatusOK:
		return b, nil
	case http.StatusPartialContent:
		var last int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &b.from, &last, &b.size); err != nil {
			if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/*", &b.from, &last); err != nil {
				resp.Body.Close()
				return nil, fmt.Errorf("the server sends a part without saying which: Content-Range is %q", resp.Header.Get("Content-Range"))
			}
			b.size = -1
		}
		return b, nil
	}
	resp.Body.Close()
	if at.from > 0 && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusPreconditionFailed) {
		return nil, errNoRange
	}
	return nil, statusError{resp.StatusCode}
}

// strong is the validator of an answer for If-Range, which takes no weak ones (RFC 9110, 13.1.5).
func strong(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// checkRedirect follows what leads elsewhere, but not out of TLS.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("it leads elsewhere %d times", maxRedirects)
	}
	if last := via[len(via)-1]; last.URL.Scheme == originurl.HTTPS && req.URL.Scheme == originurl.HTTP {
		return errDowngrade
	}
	return nil
}
