package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boottorrent/boottorrent/internal/site"
)

// The command line, driven as a person would: testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mkimage": func() {
			os.Exit(Program().Run(context.Background(), os.Args[1:], terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
		// What seeder init does.
		"seeder-init": func() {
			if err := site.Init(os.Args[1], "site"); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		},
		// A disk image with a boot sector.
		"make-disk": func() {
			sector := make([]byte, 512)
			sector[510], sector[511] = 0x55, 0xaa
			if err := os.WriteFile(os.Args[1], sector, 0o644); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		},
		// The header of a kernel for arm64.
		"make-arm64-kernel": func() {
			header := make([]byte, 64)
			copy(header[0x38:], "ARM\x64")
			if err := os.WriteFile(os.Args[1], header, 0o644); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		},
	})
}

func TestScripts(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error { e.Setenv("SOURCE", source); return nil },
	})
}
