// Package sitefiles has the texts of a new site directory, as seeder init writes them. In goes the site's name, out
// come the files.
package sitefiles

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"text/template"
)

//go:embed boottorrent.yaml
var config string

//go:embed gitignore
var gitignore []byte

//go:embed oss-README
var readme []byte

// Config is boottorrent.yaml, with every key, its default and what it means. A name of printable characters is
// written as a quoted YAML text.
func Config(name string) ([]byte, error) {
	t, err := template.New("boottorrent.yaml").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(config)
	if err != nil {
		return nil, fmt.Errorf("template boottorrent.yaml: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, struct{ Name string }{name}); err != nil {
		return nil, fmt.Errorf("template boottorrent.yaml: %w", err)
	}
	return b.Bytes(), nil
}

// Gitignore is .gitignore: what should not be shared with a site's repository.
func Gitignore() []byte { return bytes.Clone(gitignore) }

// SystemsReadme is oss/README: how to add a system.
func SystemsReadme() []byte { return bytes.Clone(readme) }
