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

//go:embed mirror.yaml
var mirror string

//go:embed gitignore
var gitignore []byte

//go:embed oss-README
var readme []byte

// Config is boottorrent.yaml, with every key, its default and what it means. A name of printable characters is
// written as a quoted YAML text.
func Config(name string) ([]byte, error) {
	return fill("boottorrent.yaml", config, struct{ Name string }{name})
}

// Mirror is mirror.yaml of a mirror that follows the seeder at a base URL.
func Mirror(upstream string) ([]byte, error) {
	return fill("mirror.yaml", mirror, struct{ Upstream string }{upstream})
}

func fill(name, text string, data any) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// Gitignore is .gitignore: what should not be shared with a site's repository.
func Gitignore() []byte { return bytes.Clone(gitignore) }

// SystemsReadme is oss/README: how to add a system.
func SystemsReadme() []byte { return bytes.Clone(readme) }
