package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// CheckInit says why a machine of an architecture (a GOARCH value) can't run a program of a root file system as process 1; nil: nothing
// speaks against it. root has to follow links inside itself, as inroot.FS does; name is without a slash in front. The error is an *Error,
// or one of reading the files.
func CheckInit(root fs.FS, name, arch string) error { return inRoot{root, arch}.check(name, 0) }

// inRoot checks programs that will see a file system as their root.
type inRoot struct {
	fs   fs.FS
	arch string
}

func (r inRoot) check(name string, depth int) error {
	f, err := r.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	switch {
	case len(f.head) == 0:
		return refuse("make the image again", "is empty")
	case bytes.HasPrefix(f.head, []byte("#!")):
		return r.script(f.head, depth)
	case bytes.HasPrefix(f.head, []byte("\x7fELF")):
		return r.elf(f)
	}
	return refuseOther(f.head)
}

// opened is a program with its beginning.
type opened struct {
	fs.File
	size int64
	head []byte
}

func (r inRoot) open(name string) (*opened, error) {
	info, err := fs.Stat(r.fs, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("write init: with the path of the program that starts the system, or install one (systemd-sysv, openrc, busybox)",
			"is not in the root file system")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, refuse("name the program itself", "is not a file")
	case info.Mode()&0o111 == 0:
		return nil, refuse("make it executable (chmod +x) in the image", "is not executable")
	}
	f, err := r.fs.Open(name)
	if err != nil {
		return nil, err
	}
	head := make([]byte, bufferSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, err
	}
	return &opened{f, info.Size(), head[:n]}, nil
}

// readerAt reads a file from anywhere; one that can't be, which are those of archives, as a whole.
func readerAt(f fs.File) (io.ReaderAt, error) {
	if r, ok := f.(io.ReaderAt); ok {
		return r, nil
	}
	if s, ok := f.(io.Seeker); ok {
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		all, err := io.ReadAll(f)
		return bytes.NewReader(all), err
	}
	return nil, errors.New("the file can't be read from the middle")
}

func (r inRoot) script(head []byte, depth int) error {
	name, argument, cut := Interpreter(head)
	switch {
	case cut:
		return refuse("shorten it", "has a first line of more than %d bytes, of which the kernel reads no more", bufferSize-1)
	case name == "":
		return refuse("write #!/bin/sh", "begins with #! but names no interpreter")
	case strings.HasSuffix(name, "\r") || strings.HasSuffix(argument, "\r"):
		return refuse(`convert it: dos2unix, or sed -i 's/\r$//'`, "has lines that end as on Windows, so that it asks for the interpreter %q", name+" "+argument)
	case depth >= maxScripts:
		return refuse("name one that is a program", "is a script for a script for a script …, too many for the kernel")
	}
	return r.interpreter(name, r.check(inside(name), depth+1))
}

// elf checks a program, and that the dynamic linker that it asks for is there.
func (r inRoot) elf(file *opened) error {
	f, err := r.program(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if loader := interpreter(f); loader != "" {
		return r.interpreter(loader, r.linker(inside(loader)))
	}
	return checkStatic(f)
}

// linker checks a dynamic linker, which may be a shared library as well: musl's is libc.
func (r inRoot) linker(name string) error {
	file, err := r.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := r.program(file)
	if err != nil {
		return err
	}
	return f.Close()
}

func (r inRoot) program(file *opened) (*elf.File, error) {
	all, err := readerAt(file.File)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(all)
	if err != nil {
		return nil, refuse("make the image again", "is a damaged ELF file (%v)", err)
	}
	if err := checkProgram(f, file.size, r.arch, "take an image for that"); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// inside is the name, within a root file system, of an absolute path, or of one relative to process 1's folder, which is the root.
func inside(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// interpreter says what is wrong with the interpreter of a program, by that of itself.
func (inRoot) interpreter(name string, err error) error {
	var reason *Error
	if errors.As(err, &reason) {
		return refuse("install it in the image", "asks to be run by %s, which %s", name, reason.What)
	}
	return err
}
