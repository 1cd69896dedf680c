package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/need"
)

// The command line, driven as a person would: testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		name: func() {
			os.Exit(program().Run(context.Background(), os.Args[1:], cli.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true})
}

// Each command has a manual page, in which mandoc finds nothing wrong, and which has all flags.
func TestManualPages(t *testing.T) {
	mandoc := need.Command(t, "mandoc", "mandoc")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	if code := program().Run(t.Context(), []string{"man", dir}, cli.Terminal{Out: t.Output(), Err: t.Output()}); code != cli.ExitOK {
		t.Fatalf("exit code %d", code)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 15 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if said, err := exec.Command(mandoc, append([]string{"-Tlint", "-Wwarning"}, pages...)...).CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("mandoc says: %v\n%s", err, said)
	}
	for page, wants := range map[string][]string{
		"boottorrent.1":                {"boottorrent-serve(1)", "boottorrent-mkimage(1)"},
		"boottorrent-mkimage-import.1": {"boottorrent mkimage import", "--replace", "--entry=N", "/var/lib/machines/debian DIR/oss/debian", "2023-11-14"},
	} {
		text, err := exec.Command(mandoc, "-Tascii", filepath.Join(dir, page)).Output()
		if err != nil {
			t.Fatal(err)
		}
		plain := overstruck(string(text))
		for _, want := range wants {
			if !strings.Contains(plain, want) {
				t.Errorf("%s does not say %q:\n%s", page, want, plain)
			}
		}
	}
}

// overstruck takes the bold and underlined characters of a terminal of paper out of a text.
func overstruck(text string) string {
	var out []rune
	for _, r := range text {
		if r == '\b' {
			out = out[:len(out)-1]
		} else {
			out = append(out, r)
		}
	}
	return string(out)
}
