package commands

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// usualGo is where Go is installed as https://go.dev/doc/install says. sudo has a PATH of its own, without it.
const usualGo = "/usr/local/go/bin/go"

// findGo finds the go command, in PATH or where it usually is.
func findGo(usual string) (string, error) {
	if tool, err := exec.LookPath("go"); err == nil {
		return tool, nil
	}
	if _, err := os.Stat(usual); err == nil {
		return usual, nil
	}
	return "", errors.New("the node's commands are compiled by Go, and there is no go in PATH or in /usr/local/go; " +
		"install it from https://go.dev/dl, and put its folder bin into PATH")
}

// CheckGo reports that there is no Go, or one that is too old for source and can't get a newer one by itself. A Go outside of PATH is
// put into this process's: what compiles the commands looks for it there.
func CheckGo(ctx context.Context, source string) error {
	if tool, err := findGo(usualGo); err == nil && tool == usualGo {
		if err := os.Setenv("PATH", filepath.Dir(tool)+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
			return err
		}
	}
	_, err := goEnv(ctx, source)
	if err == nil || ctx.Err() != nil {
		return err
	}
	want, wantErr := language(source)
	tool, toolErr := findGo(usualGo)
	if wantErr != nil || toolErr != nil {
		return errors.Join(wantErr, toolErr)
	}
	cmd := exec.CommandContext(ctx, tool, "version") // "go version go1.19.8 linux/amd64"
	cmd.Dir = os.TempDir()                           // where no go.mod asks for another one
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	out, versionErr := cmd.Output()
	words := strings.Fields(string(out))
	if versionErr != nil || len(words) < 3 || version.Compare(words[2], "go"+want) >= 0 {
		return err
	}
	return fmt.Errorf("%s is %s, and the node's commands need Go %s or later (%w); install that from https://go.dev/dl, "+
		"and put its folder bin before the other in PATH", tool, strings.TrimPrefix(words[2], "go"), want, err)
}
