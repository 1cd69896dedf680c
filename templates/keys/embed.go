// Package keyfiles has the text that goes with a site's keys for Secure Boot: how to make machines trust them. In go the site's name and
// db's certificate.
package keyfiles

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"unicode/utf8"
)

//go:embed README.txt
var readme string

// Facts are what the text depends on.
type Facts struct {
	Site string
	DB   *x509.Certificate
}

// Readme is README.txt.
func Readme(f Facts) ([]byte, error) {
	t, err := template.New("README.txt").Funcs(template.FuncMap{
		"underline": func(s string) string { return strings.Repeat("=", utf8.RuneCountInString(s)) },
	}).Parse(readme)
	if err != nil {
		return nil, fmt.Errorf("template README.txt: %w", err)
	}
	one, all := sha1.Sum(f.DB.Raw), sha256.Sum256(f.DB.Raw)
	var b bytes.Buffer
	err = t.Execute(&b, struct{ Site, Subject, SHA1, SHA256 string }{f.Site, Name(f.DB), colons(one[:]), colons(all[:])})
	if err != nil {
		return nil, fmt.Errorf("template README.txt: %w", err)
	}
	return b.Bytes(), nil
}

// Name is what a person calls a certificate by: its common name and whose it is.
func Name(c *x509.Certificate) string {
	return strings.Join(append([]string{c.Subject.CommonName}, c.Subject.Organization...), ", ")
}

// colons writes a fingerprint as firmware and mokutil show it.
func colons(sum []byte) string { return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":") }
