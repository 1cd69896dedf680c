package site

import (
	"github.com/boottorrent/boottorrent/internal/site/v0"

	"github.com/boottorrent/boottorrent/internal/self"
)

// Where names a key of boottorrent.yaml and the file it is in, for messages: "ports.http in boottorrent.yaml", or of an original
// site what it has instead: "opentracker.port in Boottorrent.yaml".
func (s *Site) Where(key string) string {
	if s.Mirrored {
		return key + " in " + MirrorFile
	}
	if !s.Original {
		return key + " in " + ConfigFile
	}
	if old := v0.Name(key); old != "" {
		return old + " in " + OriginalFile
	}
	return key + " in " + ConfigFile + ", which '" + self.Seeder() + " migrate' writes,"
}
