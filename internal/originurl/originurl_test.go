package originurl

import (
	"strings"
	"testing"
)

var digest = strings.Repeat("0123456789abcdef", 4)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want URL
	}{
		{"https://cdimage.example.org/a/b%20c.iso", URL{Scheme: HTTPS, Host: "cdimage.example.org", Path: "a/b%20c.iso"}},
		{"http://10.0.0.1:8000/x?key=1&b=2", URL{Scheme: HTTP, Host: "10.0.0.1:8000", Path: "x", Query: "key=1&b=2"}},
		{"HTTPS://h/mail@example", URL{Scheme: HTTPS, Host: "h", Path: "mail@example"}},
		{"https://h/archive/debian@sha256:" + digest, URL{Scheme: HTTPS, Host: "h", Path: "archive/debian", Digest: digest}},
		{"s3://images/debian/root.squashfs", URL{Scheme: S3, Host: "images", Path: "debian/root.squashfs"}},
		{"s3://images/debian@sha256:" + digest + "?endpoint=http://127.0.0.1:9000/&region=eu-1",
			URL{Scheme: S3, Host: "images", Path: "debian", Digest: digest, Endpoint: "http://127.0.0.1:9000", Region: "eu-1"}},
		{"oci://registry.example.com:5000/lab/debian@sha256:" + digest, URL{Scheme: OCI, Host: "registry.example.com:5000", Path: "lab/debian", Digest: digest}},
		{"oci://[::1]:5000/debian:12", URL{Scheme: OCI, Host: "[::1]:5000", Path: "debian", Tag: "12"}},
		{"oci://r/a:b@sha256:" + digest, URL{Scheme: OCI, Host: "r", Path: "a", Tag: "b", Digest: digest}},
	} {
		got, err := Parse(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                                      "no URL",
		"debian.iso":                            "no URL",
		"ftp://h/x":                             "nothing is known of ftp",
		"https://user:secret@h/x":               "name or password",
		"https://h":                             "names no file",
		"https:///x":                            "no name or address of a web server",
		"https://h/x#y":                         "#",
		"https://h/a b":                         "space",
		"https://h/x@sha256:12":                 "no SHA-256",
		"s3://images":                           "no key",
		"s3://images/a//b":                      "no key",
		"s3://images/../b":                      "no key",
		"s3://key:secret@images/b":              "name or password",
		"s3://images/b?secret=x":                "credentials come from the environment",
		"s3://images/b?endpoint=h:9000":         "base URL",
		"oci://registry/UPPER":                  "small letters",
		"oci://registry/a@md5:1":                "no digest",
		"oci://registry/a@sha256:" + "AB":       "64 hexadecimal digits",
		"oci://me:secret@registry/a":            "name or password",
		"oci://registry/a?x=1":                  "?",
		"oci://registry/a:b:c":                  "no tag",
		"https://h/" + strings.Repeat("x", Max): "bytes long",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("the message shows the password: %v", err)
		}
	}
}

func TestStringHidesQuery(t *testing.T) {
	u, err := Parse("https://h/x?X-Amz-Signature=abc")
	if err != nil || strings.Contains(u.String(), "abc") || u.Whole() != "https://h/x?X-Amz-Signature=abc" {
		t.Errorf("%s, %s, %v", u, u.Whole(), err)
	}
}

func TestBlob(t *testing.T) {
	for text, want := range map[string]string{
		"s3://bkt/debian@sha256:" + digest + "?region=r": "s3://bkt/debian/blobs/sha256/" + digest + "?region=r",
		"https://h/a/debian@sha256:" + digest:            "https://h/a/debian/blobs/sha256/" + digest,
		"oci://r/debian:12@sha256:" + digest:             "oci://r/debian",
	} {
		u, err := Parse(text)
		if err != nil || u.Blob(digest).Whole() != want {
			t.Errorf("%s: %s, %v", text, u.Blob(digest).Whole(), err)
		}
	}
}

// FuzzParse reads any text. What is taken is read again as the same, and what is refused says why and what to do.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"https://h/x?y=z", "s3://bkt/k?endpoint=http://h:1&region=r", "oci://[::1]:5000/a/b:c@sha256:" + digest, "https://a@b/c", "http://[::1]/%2f@sha256:" + digest,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			if !strings.Contains(err.Error(), "; ") {
				t.Errorf("%q: %v says nothing to do", s, err)
			}
			return
		}
		again, err := Parse(u.Whole())
		if err != nil || again != u {
			t.Errorf("%q is %+v, and %q is %+v, %v", s, u, u.Whole(), again, err)
		}
		if _, err := Parse(u.Blob(digest).Whole()); err != nil && len(u.Whole()) < Max-200 {
			t.Errorf("%q: its blob: %v", s, err)
		}
	})
}
