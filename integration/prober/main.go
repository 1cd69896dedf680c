// Prober is a system of the method bin: it says what it was started with, tries what a program may want to do, and ends as its
// arguments say.
//
// Usage: prober [-exit CODE] [-write FILE] [-files FOLDER] [-ask] [WORD…]
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/integration/prober/sum"
)

func main() {
	code := flag.Int("exit", 0, "the exit code")
	file := flag.String("write", "", "a file to write over")
	folder := flag.String("files", "", "a folder whose files are counted and summed; then the descriptors of the program that started this one")
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
	if *folder != "" {
		files, sum, err := sum.Of(os.DirFS(*folder))
		fmt.Printf("FILES %d %s %v\n", files, sum, err)
		fmt.Println(parent())
	}
	if *ask {
		fmt.Print("name? ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Printf("hello %q %v\n", strings.TrimSpace(line), err)
	}
	fmt.Println("PROBER-END")
	os.Exit(*code)
}

// parent says which program started this one, and how many descriptors it has open (proc(5)).
func parent() string {
	proc := fmt.Sprintf("/proc/%d/", os.Getppid())
	cmdline, err := os.ReadFile(proc + "cmdline")
	if err != nil {
		return err.Error()
	}
	name, _, _ := bytes.Cut(cmdline, []byte{0})
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("PARENT %s DESCRIPTORS %d", filepath.Base(string(name)), len(open))
}
