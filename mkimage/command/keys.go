package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/keys"
	keyfiles "github.com/boottorrent/boottorrent/templates/keys"
)

// keysCmd makes a site's own keys for Secure Boot.
type keysCmd struct {
	Dir string `arg:"" help:"The site directory."`
	New bool   `help:"Make new keys. The folder with the old ones gets the ending .old."`
}

// Help is the long help.
func (keysCmd) Help() string {
	return "Makes three pairs of keys (PK, KEK, db) with certificates in DIR/keys, in every form that firmware, KeyTool and MokManager take, and " +
		"README.txt, which says how a person enrols them at a machine. Machines that know db's certificate start what '" + self.Mkimage() + " DIR --sign' builds. " +
		"Nothing is overwritten: run again, it makes what is missing of what can be made from the others."
}

// Run makes them and says what follows.
func (c keysCmd) Run(t terminal) error {
	s, problems := site.Load(c.Dir)
	if err := explain(t, asError(problems)); err != nil {
		return err
	}
	made, err := keys.Make(c.Dir, s.Name, c.New, time.Now())
	if err != nil {
		return err
	}
	if made.Old != "" {
		fmt.Fprintf(t.Out, "The old keys are in %s. Machines trust them as long as nobody removes them there.\n", made.Old)
	}
	switch {
	case len(made.Files) == 0 && len(made.Lost) == 0:
		fmt.Fprintf(t.Out, "All of them are in %s.\n", made.Folder)
	case len(made.Files) > 0:
		fmt.Fprintf(t.Out, "In %s are now: %s\n", made.Folder, strings.Join(made.Files, ", "))
	}
	if len(made.Lost) > 0 {
		fmt.Fprintf(t.Out, "Not made, as PK.key or KEK.key is elsewhere: %s\n", strings.Join(made.Lost, ", "))
	}
	fmt.Fprintf(t.Out, `What db.key has signed is started by machines that know db's certificate ("%s", valid until %s):
  1. enrol it at the machines: %s says how
  2. write sign_image: true into %s, and run: %s %s
`, keyfiles.Name(made.Certificate), made.Certificate.NotAfter.Format(time.DateOnly), filepath.Join(made.Folder, "README.txt"),
		filepath.Join(c.Dir, site.ConfigFile), self.Mkimage(), cli.Quote(c.Dir))
	return nil
}

func asError(problems site.Problems) error {
	if len(problems) == 0 {
		return nil
	}
	return problems
}
