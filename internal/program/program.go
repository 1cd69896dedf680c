// Package program knows what a file is, and whether a node can run it: a static ELF program, or a script for an interpreter
// that nodes have or the system brings along. The seeder asks before it offers a system, and the node before it starts
// one; both get the same answer, as both ask here.
//
// What counts is what Linux does (fs/exec.c, fs/binfmt_script.c, fs/binfmt_elf.c), with a system's folder as working directory.
package program

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Error says why a node can't run a file.
type Error struct {
	// What follows the file's name, and Do says what to do.
	What, Do string
}

// Error is what is wrong; what to do.
func (e *Error) Error() string { return e.What + "; " + e.Do }

func refuse(do, what string, args ...any) error { return &Error{fmt.Sprintf(what, args...), do} }

// bufferSize is how much of a file the kernel looks at (BINPRM_BUF_SIZE, since Linux 5.1).
const bufferSize = 256

// maxScripts is how many interpreters in a row may be scripts themselves (exec_binprm in fs/exec.c).
const maxScripts = 5

// Check says why a node of an architecture (a GOARCH value) can't run a file of a system's folder; nil: nothing speaks against it.
// The error is an *Error, or one of reading the files.
func Check(folder fs.FS, name, arch string) error { return check(folder, name, arch, 0) }

func check(folder fs.FS, name, arch string, depth int) error {
	info, err := fs.Stat(folder, name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for its writer
		return refuse("name the program itself", "is not a file")
	}
	f, err := folder.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, bufferSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	switch {
	case n == 0:
		return refuse("copy it here again", "is empty")
	case strings.HasPrefix(string(head), "#!"):
		return checkScript(folder, head, arch, depth)
	case strings.HasPrefix(string(head), "\x7fELF"):
		file, ok := f.(io.ReaderAt)
		if !ok {
			return fmt.Errorf("%s can't be read from the middle", name)
		}
		return checkELF(folder, file, info.Size(), arch, depth)
	}
	return refuseOther(head)
}

// refuseOther says what a file is that Linux doesn't run.
func refuseOther(head []byte) error {
	const firstLine = "write #!/bin/sh as its first line, whose commands are those of u-root"
	text := string(head)
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(text, mark) {
			return refuse("save it as UTF-8 without that mark (BOM)", "begins with a byte order mark, so that the kernel doesn't see its first line")
		}
	}
	if start := strings.TrimLeft(text, " \t\r\n"); strings.HasPrefix(start, "#!") {
		return refuse("remove what stands before #!", "has something before its #!, so that the kernel doesn't see it")
	}
	if f := Identify(head); f.What != (Identify([]byte{0})).What {
		return refuse("name an ELF program, or a script that begins with #!/bin/sh", "is no program for Linux: it is %s", f.What)
	}
	if !strings.ContainsRune(text, 0) {
		return refuse(firstLine, "is a text without #! and an interpreter in its first line")
	}
	return refuse("name an ELF program, or a script that begins with #!/bin/sh", "is no program for Linux")
}

// Interpreter reads a script's first line as the kernel does (load_script in fs/binfmt_script.c): the interpreter, and all that
// follows it as one argument. head is the script's beginning, cut is whether the line goes on behind what the kernel sees.
func Interpreter(head []byte) (name, argument string, cut bool) {
	line, _, whole := strings.Cut(string(head[2:min(len(head), bufferSize)]), "\n")
	if !whole && len(head) >= bufferSize {
		line, cut = line[:bufferSize-1-2], true
	}
	line = strings.Trim(line, " \t")
	name, _, _ = strings.Cut(line, "\x00")
	end := strings.IndexAny(name, " \t")
	if end < 0 {
		return name, "", cut
	}
	return name[:end], strings.TrimLeft(name[end:], " \t"), cut
}

func checkScript(folder fs.FS, head []byte, arch string, depth int) error {
	name, argument, cut := Interpreter(head)
	own := "write #!/bin/sh, whose commands are those of u-root, or name a static interpreter as bin: and the script in binargs:"
	switch {
	case cut:
		return refuse("shorten it", "has a first line of more than %d bytes, of which the kernel reads no more", bufferSize-1)
	case name == "" || name == "\r":
		return refuse("write #!/bin/sh", "begins with #! but names no interpreter")
	case strings.HasSuffix(name, "\r") || strings.HasSuffix(argument, "\r"):
		return refuse("convert it: dos2unix, or sed -i 's/\\r$//'", "has lines that end as on Windows, so that it asks for the interpreter %q",
			strings.TrimRight(name+" "+argument, " "))
	case path.Base(name) == "env":
		return refuse("name the interpreter itself: #!/bin/sh, or #!./python3 for one that is in the system's folder",
			"asks %s to look for the interpreter %s, and nodes don't have that", name, argument)
	}
	return checkInterpreter(folder, name, arch, depth, func() error {
		return refuse(own, "asks for the interpreter %s, which nodes don't have", name)
	})
}

// checkInterpreter checks what a script or a program asks to be run by. The kernel looks for a relative name in the working
// directory.
func checkInterpreter(folder fs.FS, name, arch string, depth int, missing func() error) error {
	if path.IsAbs(name) {
		if InImage(name) {
			return nil
		}
		return missing()
	}
	relative := path.Clean(name)
	if info, err := fs.Stat(folder, relative); err != nil || !info.Mode().IsRegular() {
		return missing()
	}
	if depth >= maxScripts {
		return refuse("name one that is a program", "is a script for a script for a script …, too many for the kernel")
	}
	err := check(folder, relative, arch, depth+1)
	var reason *Error
	if errors.As(err, &reason) {
		return refuse(reason.Do, "asks for the interpreter %s, which %s", name, reason.What)
	}
	return err
}

// InImage reports whether nodes have a program of an absolute path.
func InImage(name string) bool {
	if path.Dir(name) != "/bbin" {
		return name == "/bin/sh" || name == "/bin/reboot"
	}
	return slices.Contains(Commands, path.Base(name))
}

// Commands are the programs in /bbin of nodes: BootTorrent's own, and those of u-root.
var Commands = append([]string{"boot", "choose", "fetch", "gosh", "init", "ip", "launch", "netup", "screen", "sshd", "stay", "wget"}, names(URoot)...)

func names(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = path.Base(p)
	}
	return out
}
