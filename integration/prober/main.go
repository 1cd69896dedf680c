// Prober is a system of the method bin: it says what it was started with, tries what a program may want to do, and ends as its
// arguments say.
//
// Usage: prober [-exit CODE] [-write FILE] [-ask] [WORD…]
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"
)

func main() {
	code := flag.Int("exit", 0, "the exit code")
	file := flag.String("write", "", "a file to write over")
	ask := flag.Bool("ask", false, "read a line first")
	flag.Parse()
	dir, err := os.Readlink("/proc/self/cwd")
	if err != nil {
		dir = err.Error()
	}
	fmt.Printf("PROBER %s args=%q dir=%s terminal=%v\n", runtime.GOARCH, flag.Args(), dir, term.IsTerminal(0))
	environment := os.Environ()
	slices.Sort(environment)
	for _, e := range environment {
		if strings.HasPrefix(e, "BT_") {
			fmt.Println(e)
		}
	}
	if *file != "" {
		fmt.Println("wrote:", os.WriteFile(*file, []byte("scribbled"), 0o644))
	}
	if *ask {
		fmt.Print("name? ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Printf("hello %q %v\n", strings.TrimSpace(line), err)
	}
	fmt.Println("PROBER-END")
	os.Exit(*code)
}
