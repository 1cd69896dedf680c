// Package mediafiles has the text on sticks and CDs that people edit: boottorrent.conf, which phase 1 reads
// (internal/mediumconf).
package mediafiles

import (
	"bytes"
	_ "embed"
)

//go:embed boottorrent.conf
var config []byte

// Config is boottorrent.conf with every key explained and none set. Its lines end in CR LF, for the editors of any PC.
func Config() []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(config, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
