package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/seeder/auth"
)

type passwordCmd struct{}

// Run reads a password, and prints its hash as a line for boottorrent.yaml.
func (passwordCmd) Run(t terminal) error {
	password, err := newPassword(t)
	if err != nil {
		return err
	}
	hash, err := auth.Hash(password)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Err, `For boottorrent.yaml, below page: (who may change something over HTTP) or below a group with menu: locked:`)
	_, err = fmt.Fprintf(t.Out, "password: %q\n", hash)
	return err
}

// newPassword reads a password: twice from a terminal, without showing it, else a line.
func newPassword(t terminal) (string, error) {
	f, ok := t.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		if t.In == nil {
			return "", errors.New("there is nobody to type in a password")
		}
		line, err := bufio.NewReader(t.In).ReadString('\n')
		switch {
		case errors.Is(err, io.EOF) && line == "":
			return "", errors.New("no password came; type it at a terminal, or send it as a line to standard input")
		case err != nil && line == "":
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"The new password: ", "Once more: "} {
		fmt.Fprint(t.Err, prompt)
		word, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(t.Err)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(word)
	}
	if typed[0] != typed[1] {
		return "", errors.New("that was not the same twice; say it again")
	}
	return typed[0], nil
}
