// Package originurl is how it is written where a file, or a whole system, comes from: in from: of a system's config.yaml, and on the
// command line of seeder push. In goes text; out comes a [URL], or an error that says what to write instead.
//
//	https://HOST/PATH                              a file on a web server; http:// as well
//	s3://BUCKET/KEY?endpoint=URL&region=NAME       an object; without endpoint that of the environment, or Amazon's
//	oci://REGISTRY/NAME                            a repository of a registry (OCI distribution specification)
//
// Behind PATH, KEY or NAME may stand @sha256:DIGEST, the digest of a whole system's manifest; behind NAME also :TAG.
package originurl

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// The schemes.
const (
	HTTP  = "http"
	HTTPS = "https"
	S3    = "s3"
	OCI   = "oci"
)

// Max is how long a URL may be, in bytes.
const Max = 2048

// URL says where something is. It has no credentials in it.
type URL struct {
	Scheme string
	// Host is that of http and https, and an OCI registry's, with its port if one was written; of s3 it is the bucket's name.
	Host string
	// Path is what follows the host, without a slash at the beginning: of http and https as it is escaped in URLs.
	Path string
	// Query is what follows a question mark of http and https. It may be what lets somebody read the file, so it is not shown.
	Query string
	// Endpoint is the base URL of the server that speaks S3, and Region where its bucket is; empty: the environment says it.
	Endpoint, Region string
	// Tag is the name of a version in a registry, which may be given to another one later.
	Tag string
	// Digest is the SHA-256 of a manifest, in hex; empty: the URL names none.
	Digest string
}

// DigestForm is how a SHA-256 is written in hex.
var DigestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

var (
	// repository and tag are as in the OCI distribution specification 1.1, "Pulling manifests".
	repository = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	// bucket is what Amazon's rules for names of buckets allow, and the upper case and underscores of older ones.
	bucket = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)
	// host is a name or an IPv4 address, with or without a port. An IPv6 address stands in brackets.
	host       = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	regionForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

const forms = "write https://HOST/PATH, s3://BUCKET/KEY or oci://REGISTRY/NAME"

// Parse reads a URL. The error says what is wrong and, behind a semicolon, what to do.
func Parse(s string) (URL, error) {
	if len(s) > Max {
		return URL{}, fmt.Errorf("the URL is %d bytes long; write one of at most %d", len(s), Max)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }) {
		return URL{}, fmt.Errorf("%q has a space, a control character or no UTF-8 in it; write them as a URL has them: %%20", s)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return URL{}, fmt.Errorf("%q is no URL; %s", s, forms)
	}
	switch u := (URL{Scheme: strings.ToLower(scheme)}); u.Scheme {
	case HTTP, HTTPS:
		return u.http(rest)
	case S3:
		return u.s3(rest)
	case OCI:
		return u.oci(rest)
	}
	return URL{}, fmt.Errorf("nothing is known of %s://; %s", scheme, forms)
}

// credentials is the error for a name or password in a URL.
func credentials(do string) error {
	return fmt.Errorf("a name or password stands in the URL, and whoever may read the site may read it; remove it%s", do)
}

func (u URL) http(rest string) (URL, error) {
	whole, err := url.Parse(u.Scheme + "://" + rest)
	if err != nil {
		return URL{}, fmt.Errorf("%q is no URL; %s", u.Scheme+"://"+rest, forms)
	}
	if whole.User != nil {
		return URL{}, credentials("")
	}
	if whole.Fragment != "" || strings.HasSuffix(rest, "#") {
		return URL{}, fmt.Errorf("a # stands in the URL; remove it and what follows, or write it as %%23")
	}
	u.Host, u.Path, u.Query = whole.Host, strings.TrimPrefix(whole.EscapedPath(), "/"), whole.RawQuery
	if u, err = u.cutDigest(); err != nil {
		return URL{}, err
	}
	switch {
	case !isHost(u.Host):
		return URL{}, fmt.Errorf("%q is no name or address of a web server; write https://HOST/PATH", u.Host)
	case u.Path == "":
		return URL{}, fmt.Errorf("%s names no file; write https://HOST/PATH", u)
	}
	return u, nil
}

func (u URL) s3(rest string) (URL, error) {
	place, query, _ := strings.Cut(rest, "?")
	u.Host, u.Path, _ = strings.Cut(place, "/")
	var err error
	if u, err = u.cutDigest(); err != nil {
		return URL{}, err
	}
	switch {
	case strings.Contains(u.Host, "@") || strings.Contains(u.Host, ":"):
		return URL{}, credentials(`; s3://BUCKET/KEY names the bucket, and the server is ?endpoint=https://HOST`)
	case !bucket.MatchString(u.Host):
		return URL{}, fmt.Errorf("%q is no bucket's name; write s3://BUCKET/KEY", u.Host)
	case u.Path == "" || path.Clean("/"+u.Path) != "/"+u.Path || strings.ContainsAny(u.Path, "#"):
		return URL{}, fmt.Errorf("%q is no key of an object; write s3://BUCKET/KEY, without //, . and .. in it", u.Path)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return URL{}, fmt.Errorf("%q can't be read; write ?endpoint=https://HOST&region=NAME, or neither", query)
	}
	for key := range values {
		switch key {
		case "endpoint":
			if u.Endpoint, err = ParseEndpoint(values.Get(key)); err != nil {
				return URL{}, err
			}
		case "region":
			if u.Region = values.Get(key); !regionForm.MatchString(u.Region) {
				return URL{}, fmt.Errorf("%q is no region; write it as its server calls it: region=eu-central-1", u.Region)
			}
		default:
			return URL{}, fmt.Errorf("nothing is known of %q behind the question mark; endpoint and region may stand there, and credentials come from the environment", key)
		}
	}
	return u, nil
}

// ParseEndpoint reads the base URL of a server that speaks S3.
func ParseEndpoint(s string) (string, error) {
	e, err := url.Parse(s)
	if err != nil || e.Scheme != HTTP && e.Scheme != HTTPS || !isHost(e.Host) || e.User != nil || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.Fragment != "" {
		return "", fmt.Errorf("%q is no base URL of a server that speaks S3; write https://HOST or http://HOST:PORT", s)
	}
	return e.Scheme + "://" + e.Host, nil
}

func (u URL) oci(rest string) (URL, error) {
	if strings.ContainsAny(rest, "?#") {
		return URL{}, fmt.Errorf("a ? or # stands in %q; write oci://REGISTRY/NAME@sha256:DIGEST", rest)
	}
	u.Host, u.Path, _ = strings.Cut(rest, "/")
	if strings.Contains(u.Host, "@") {
		return URL{}, credentials("; docker login REGISTRY keeps it in a file of its own")
	}
	var err error
	if u, err = u.cutDigest(); err != nil {
		return URL{}, err
	}
	if name, tag, ok := strings.Cut(u.Path, ":"); ok {
		if u.Path, u.Tag = name, tag; !tagForm.MatchString(tag) {
			return URL{}, fmt.Errorf("%q is no tag; write oci://REGISTRY/NAME@sha256:DIGEST", tag)
		}
	}
	switch {
	case !isHost(u.Host):
		return URL{}, fmt.Errorf("%q is no name or address of a registry; write oci://REGISTRY/NAME", u.Host)
	case !repository.MatchString(u.Path) || len(u.Path) > 255:
		return URL{}, fmt.Errorf("%q is no name in a registry; write small letters and digits, with / . _ or - between them: oci://REGISTRY/lab/debian", u.Path)
	}
	return u, nil
}

// isHost reports whether a text is HOST or HOST:PORT.
func isHost(s string) bool {
	if !host.MatchString(s) {
		return false
	}
	if v6, _, bracket := strings.Cut(strings.TrimPrefix(s, "["), "]"); bracket {
		a, err := netip.ParseAddr(v6)
		return err == nil && a.Is6()
	}
	return true
}

// cutDigest takes @sha256:DIGEST from the end of the path.
func (u URL) cutDigest() (URL, error) {
	at := strings.LastIndex(u.Path, "@")
	if at < 0 {
		return u, nil
	}
	algorithm, digest, ok := strings.Cut(u.Path[at+1:], ":")
	switch {
	case u.Scheme != OCI && algorithm != "sha256":
		return u, nil // a path with such a sign in it
	case !ok || algorithm != "sha256":
		return u, fmt.Errorf("%q is no digest; write @sha256: and 64 hexadecimal digits", u.Path[at+1:])
	case !DigestForm.MatchString(digest):
		return u, fmt.Errorf("%q is no SHA-256; write 64 hexadecimal digits, in small letters", digest)
	}
	u.Path, u.Digest = u.Path[:at], digest
	return u, nil
}

// String is the URL as a person may see it: what may be a secret is left out.
func (u URL) String() string { return u.text(u.Query != "", "…") }

// Whole is the URL with all that belongs to it, as Parse reads it.
func (u URL) Whole() string { return u.text(u.Query != "", u.Query) }

func (u URL) text(query bool, said string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s://%s/%s", u.Scheme, u.Host, u.Path)
	if u.Tag != "" {
		b.WriteString(":" + u.Tag)
	}
	if u.Digest != "" {
		b.WriteString("@sha256:" + u.Digest)
	}
	var values []string
	if u.Endpoint != "" {
		values = append(values, "endpoint="+u.Endpoint)
	}
	if u.Region != "" {
		values = append(values, "region="+u.Region)
	}
	if query {
		values = append(values, said)
	}
	if len(values) > 0 {
		b.WriteString("?" + strings.Join(values, "&"))
	}
	return b.String()
}

// BlobsFolder is where an archive of systems that is no registry keeps each file under its digest, as in an OCI image layout.
const BlobsFolder = "blobs/sha256/"

// Blob is where the archive of a whole system has what has a SHA-256, in hex. In a registry all are in the same repository.
func (u URL) Blob(digest string) URL {
	u.Digest, u.Tag = "", ""
	if u.Scheme != OCI {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + BlobsFolder + digest
	}
	return u
}

// IsDigest reports whether a text is a SHA-256 in hex, as Parse takes it.
func IsDigest(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && DigestForm.MatchString(s)
}
