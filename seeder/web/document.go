package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// document is bytes that many fetch: kept with their ETag, and compressed where that makes them smaller.
type document struct {
	data []byte
	etag string
	// packed is data by gzip (RFC 1952), nil if that is no smaller.
	packed []byte
}

func newDocument(data []byte) document {
	sum := sha256.Sum256(data)
	d := document{data: data, etag: etag(hex.EncodeToString(sum[:]))}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err == nil && z.Close() == nil && b.Len() < len(data) {
		d.packed = slices.Clip(b.Bytes())
	}
	return d
}

// etag is the strong entity tag (RFC 9110 section 8.8.3) of content with this SHA-256 in hexadecimal.
func etag(sum string) string { return `"` + sum + `"` }

// serve answers with the document, compressed if the client takes that. A compressed answer is another representation with an
// ETag of its own (RFC 9110 sections 8.4 and 8.8.3.3). Who asks for a range gets it of the bytes that were signed or hashed.
func (d document) serve(w http.ResponseWriter, r *http.Request, contentType string) {
	data, tag := d.data, d.etag
	w.Header().Set("Vary", "Accept-Encoding")
	if d.packed != nil && r.Header.Get("Range") == "" && takesGzip(r.Header.Get("Accept-Encoding")) {
		data, tag = d.packed, strings.TrimSuffix(d.etag, `"`)+`-gzip"`
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// takesGzip reports whether a client's Accept-Encoding names gzip, and not with the weight 0 (RFC 9110 section 12.5.3).
func takesGzip(accept string) bool {
	for coding := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		weight = strings.TrimLeft(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q=")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return weight == "" || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}
