package command

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The command line, driven as a person would: testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"seeder": func() {
			os.Exit(Program().Run(context.Background(), os.Args[1:], terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Cmds: operating,
		Setup: func(e *testscript.Env) error { e.Values["t"] = t; return nil },
	})
}
