package command

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/origin"
)

// showAbsent says of each system what of it is still to be fetched.
func showAbsent(s *site.Site, term terminal) {
	for _, sys := range s.Absent {
		for _, o := range sys.Missing {
			size := ""
			if o.Size >= 0 {
				size = ", " + text.Size(o.Size)
			}
			fmt.Fprintf(term.Out, "%s: not here yet: %s, from %s%s\n", filepath.Join(site.SystemsDir, sys.Name), o.Name(), o.URL, size)
		}
	}
}

// showOrigins asks for every file that comes from elsewhere whether it is there, and returns how many are not.
func showOrigins(ctx context.Context, s *site.Site, term terminal) (problems int) {
	client := origin.New(nil)
	for _, sys := range slices.Concat(s.Systems, s.Absent) {
		for _, o := range sys.From {
			size, err := client.Probe(ctx, o)
			where := filepath.Join(site.SystemsDir, sys.Name)
			switch {
			case err != nil:
				problems++
				fmt.Fprintf(term.Err, "%s: %v\n", where, err)
			case size >= 0:
				fmt.Fprintf(term.Out, "%s: %s is there: %s, %s\n", where, o.Name(), o.URL, text.Size(size))
			default:
				fmt.Fprintf(term.Out, "%s: %s is there: %s\n", where, o.Name(), o.URL)
			}
		}
	}
	return problems
}

// archives are the forms of URLs that systems can be put to, for help.
func archives() (forms string) {
	for _, k := range origin.Kinds {
		if k.Archive {
			forms += fmt.Sprintf("%s, credentials: %s. ", k.Form, k.Credentials)
		}
	}
	return forms
}

// archive reads where a system is to be put.
func archive(target string) (originurl.URL, error) {
	u, err := originurl.Parse(target)
	switch {
	case err != nil:
		return u, err
	case u.Scheme != originurl.S3 && u.Scheme != originurl.OCI:
		return u, fmt.Errorf("nothing can be put to %s; write s3://BUCKET/PREFIX or oci://REGISTRY/NAME[:TAG]", u)
	case u.Digest != "":
		return u, fmt.Errorf("%s names a version, whose digest is known only afterwards; leave out @sha256:%s", u, u.Digest)
	}
	return u, nil
}
