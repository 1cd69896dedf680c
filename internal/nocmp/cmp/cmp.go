// Package cmp stands in for github.com/google/go-cmp/cmp, which github.com/anacrolix/torrent imports for a message before it
// panics. The real one calls reflect.Type.Method, at which Go's linker gives up to find out which methods nobody calls: with it the
// program that every node loads is a fifth larger.
package cmp

import (
	"fmt"
	"reflect"
)

// Option is an option of the real package. There is none here.
type Option any

// Diff returns both values where they differ, and nothing where they don't.
func Diff(x, y any, _ ...Option) string {
	if reflect.DeepEqual(x, y) {
		return ""
	}
	return fmt.Sprintf("-%+v\n+%+v\n", x, y)
}
