package site

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Limits of a program's arguments, in bytes.
const maxArguments = 32 << 10

// words reads arguments: a text that is split as a shell splits words (POSIX XCU 2.2, quoting; nothing is expanded), or a list
// that is taken as it is. Placeholders are checked.
func (m *mapping) words(key string) []string {
	if _, list := m.values[key].(*ast.SequenceNode); list {
		var words []string
		for _, t := range m.texts(key) {
			words = append(words, t.value)
		}
		return m.checkWords(key, m.place(key), words)
	}
	t := m.text(key, "")
	words, err := shellquote.Split(strings.TrimSpace(t.value))
	if err != nil {
		m.check.problem(t.place, fmt.Sprintf("%s%s: %s", m.path, key, unsplit(err)), "close it, or put a \\ before a quote that is meant as a character")
		return nil
	}
	return m.checkWords(key, t.place, words)
}

func unsplit(err error) string {
	switch {
	case errors.Is(err, shellquote.UnterminatedSingleQuoteError):
		return "a single quote is not closed"
	case errors.Is(err, shellquote.UnterminatedDoubleQuoteError):
		return "a double quote is not closed"
	}
	return "there is nothing behind the last \\"
}

func (m *mapping) checkWords(key string, at place, words []string) []string {
	size := 0
	for _, w := range words {
		size += len(w) + 1
		if strings.ContainsRune(w, 0) {
			m.check.problem(at, fmt.Sprintf("%s%s has a zero byte in it", m.path, key), "remove it")
			return nil
		}
		if _, err := catalog.Expand(w, nil); err != nil {
			what, do, _ := strings.Cut(err.Error(), "; ")
			m.check.problem(at, fmt.Sprintf("%s%s: %s", m.path, key, what), do)
		}
	}
	if size > maxArguments {
		m.check.problem(at, fmt.Sprintf("%s%s is %d bytes long", m.path, key, size), fmt.Sprintf("shorten it to at most %d", maxArguments))
		return nil
	}
	return words
}
