// Package syntax knows what iPXE's command line makes of a word.
package syntax

import "strings"

// Misread says what else than a word iPXE's command line (src/core/exec.c) takes a word for, and what to write instead; empty:
// it hands the word on as it is. There is no way to quote one.
func Misread(word string) (as, do string) {
	switch {
	case strings.HasPrefix(word, "#"):
		return "the beginning of a comment", "leave it and what follows out"
	case word == "||" || word == "&&" || word == ";":
		return "the end of its command", "leave it out, or write it without a space before it"
	case strings.Contains(word, "${"):
		return "one with a setting of its own", "write the value itself"
	}
	return "", ""
}
