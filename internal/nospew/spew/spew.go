// Package spew stands in for github.com/davecgh/go-spew/spew, which github.com/anacrolix/torrent imports to print its own insides
// for people who develop it. Nodes have no use for that, nor for its 12 KB.
package spew

import (
	"fmt"
	"io"
	"os"
)

// ConfigState has none of the real package's settings.
type ConfigState struct{}

// NewDefaultConfig returns one.
func NewDefaultConfig() *ConfigState { return &ConfigState{} }

// Fdump writes each value on a line.
func (*ConfigState) Fdump(w io.Writer, values ...any) { Fdump(w, values...) }

// Dump does so to standard output.
func (*ConfigState) Dump(values ...any) { Dump(values...) }

// Fdump writes each value on a line.
func Fdump(w io.Writer, values ...any) {
	for _, v := range values {
		fmt.Fprintf(w, "%+v\n", v)
	}
}

// Dump does so to standard output.
func Dump(values ...any) { Fdump(os.Stdout, values...) }
