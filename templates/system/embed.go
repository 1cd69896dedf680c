// Package systemfile has the config.yaml of a system that mkimage import makes. In go its keys with a comment for each, out comes the
// file.
package systemfile

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

//go:embed config.yaml
var config string

// System is what the file says. Texts are of printable characters.
type System struct {
	Title, Description, Arch, Method string
	// Keys are those of the method, in order.
	Keys []Key
	// Head is the comment above everything.
	Head string
}

// Key is a key with its value: one text, or several, lowest first. A key without a value stands there as a comment, for people to
// fill in.
type Key struct {
	Name    string
	Values  []string
	Comment string
}

// width is how long a line of a comment may be, in bytes.
const width = 110

// Config is config.yaml.
func Config(s System) ([]byte, error) {
	t, err := template.New("config.yaml").Funcs(template.FuncMap{"value": value, "comment": comment}).Parse(config)
	if err != nil {
		return nil, fmt.Errorf("template config.yaml: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("template config.yaml: %w", err)
	}
	return b.Bytes(), nil
}

// value is a text in YAML: as it is where no reader can misunderstand it, else quoted.
func value(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(plainRunes, r) }) && !strings.ContainsAny(s[:1], "-/. 0123456789")
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		plain = false
	}
	if plain && s[len(s)-1] != ' ' {
		return s
	}
	return strconv.Quote(s)
}

const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ./_+-"

// comment is a text as lines of a comment, broken between words.
func comment(s string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		line := "#"
		for word := range strings.FieldsSeq(paragraph) {
			if line != "#" && len(line)+1+len(word) > width {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
