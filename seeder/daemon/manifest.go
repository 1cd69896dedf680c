package daemon

import (
	"path/filepath"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/bootmanifest"
	"github.com/boottorrent/boottorrent/seeder/counter"
)

// siteManifest makes the boot manifest of the site that this seeder serves.
func (d *daemon) siteManifest(count *counter.Counter) *bootmanifest.Maker {
	return bootmanifest.New(bootmanifest.Config{
		Images:  filepath.Join(d.Site.Dir, site.ImageDir),
		Loaders: d.loaders.Files,
		Hash:    d.boot.Hash,
		Site:    func() string { return d.current.Load().Name },
		Key:     func() (minisign.PrivateKey, error) { return d.current.Load().SecretKey() },
		Counter: count.Next,
		Start:   d.feed.start,
		Catalog: func() *catalog.Catalog { return d.feed.catalog() },
	})
}
