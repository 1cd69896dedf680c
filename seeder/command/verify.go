package command

import (
	"context"
	"fmt"
	"io"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/seederurl"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

type verifyCmd struct {
	Seeder string `arg:"" help:"The seeder, or who hands on what it serves: ADDRESS, ADDRESS:PORT or a URL."`
	Key    string `arg:"" type:"existingfile" help:"The site's public key, boottorrent.pub."`
}

// Run fetches what machines start before they have a catalog, as any of them would, and compares it with what the site's key has signed.
func (c verifyCmd) Run(ctx context.Context, term terminal) error {
	base, err := seederurl.Base(c.Seeder)
	if err != nil {
		return err
	}
	key, err := upstream.ReadKey(c.Key)
	if err != nil {
		return err
	}
	seeder := &upstream.Seeder{Base: base, Key: key}
	cat, err := seeder.Catalog(ctx, "", 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "the catalog of %q is signed by the key %016X, and has the counter %d\n", cat.Value.Site, key.ID(), cat.Value.Counter)
	m, wrong, err := verifyFiles(ctx, seeder)
	if err != nil {
		return err
	}
	for _, err := range wrong {
		fmt.Fprintln(term.Err, err)
	}
	if len(wrong) > 0 {
		fmt.Fprintf(term.Err, "%s: not as the boot manifest with the counter %d says: %s of %d\n", base, m.Counter, text.Count(len(wrong), "boot file"), len(m.Files))
		return cli.ErrReported
	}
	_, err = fmt.Fprintf(term.Out, "%s: as the boot manifest with the counter %d says: %s\n", base, m.Counter, text.Count(len(m.Files), "boot file"))
	return err
}

// verifyFiles compares the boot files with what the boot manifest says of them, and returns what is wrong with each. Where the image was
// replaced meanwhile it begins once more.
func verifyFiles(ctx context.Context, seeder *upstream.Seeder) (m *catalog.BootManifest, wrong []error, err error) {
	signed, err := seeder.Manifest(ctx)
	if err != nil {
		return nil, nil, err
	}
	m = signed.Value
	for again := true; ; again = false {
		wrong = nil
		for _, f := range m.Files {
			if err := seeder.BootFile(ctx, f, io.Discard); err != nil {
				wrong = append(wrong, err)
			}
		}
		if len(wrong) == 0 || !again {
			return m, wrong, nil
		}
		now, err := seeder.Manifest(ctx)
		if err != nil || now.Value.Counter == m.Counter {
			return m, wrong, nil
		}
		m = now.Value
	}
}
