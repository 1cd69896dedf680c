package command

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"
	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

type keyCmd struct {
	Dir string `arg:"" help:"The site directory."`
	New bool   `help:"Make a new pair of keys. The old ones are kept as files that end in .old."`
}

// Run mends what is lost of a site's keys, and prints the public one.
func (c keyCmd) Run(t terminal) error {
	change, public, err := site.Rekey(c.Dir, c.New, func(locked []byte) (minisign.PrivateKey, error) {
		word, err := readPassword(t)
		if err != nil {
			return minisign.PrivateKey{}, err
		}
		return minisign.DecryptKey(word, locked)
	})
	if problems := (site.Problems)(nil); errors.As(err, &problems) {
		fmt.Fprintln(t.Err, problems)
		return cli.ErrReported
	}
	if err != nil {
		return err
	}
	switch change {
	case site.KeysKept:
		fmt.Fprintf(t.Out, "%s and %s are there and belong together.\n", site.SecretKeyFile, site.PublicKeyFile)
	case site.PublicRestored:
		fmt.Fprintf(t.Out, "%s is written again, made of %s. Images and media that have it go on working.\n", site.PublicKeyFile, site.SecretKeyFile)
	case site.PasswordRemoved:
		fmt.Fprintf(t.Out, "%s has no password any more; the one with it has the ending .old. Keep both from other people's eyes.\n", site.SecretKeyFile)
	case site.KeysMade:
		fmt.Fprintf(t.Out, `A new pair of keys is in %[1]s. Nodes believe only the key that is built into what they start, so now
  %[3]s %[1]s       builds that again
  %[3]s usb %[1]s   and sticks and discs, if you use them: write each of them again
and start the seeder again, if it runs. Keep a copy of %[2]s somewhere else.
`, cli.Quote(c.Dir), site.SecretKeyFile, self.Mkimage())
	}
	_, err = fmt.Fprintf(t.Out, "The public key is %s (key %016X).\n", public, public.ID())
	return err
}

// readPassword asks for the password of a secret key, without showing it.
func readPassword(t terminal) (string, error) {
	fmt.Fprintf(t.Err, "The password of %s: ", site.SecretKeyFile)
	defer fmt.Fprintln(t.Err)
	if f, ok := t.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		word, err := term.ReadPassword(int(f.Fd()))
		return string(word), err
	}
	if t.In == nil {
		return "", errors.New("there is nobody to type in the key's password")
	}
	line, err := bufio.NewReader(t.In).ReadString('\n')
	if err != nil && line == "" {
		return "", fmt.Errorf("read the key's password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
