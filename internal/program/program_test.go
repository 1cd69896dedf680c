package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/boottorrent/boottorrent/internal/need"
)

// tiny is a static program for x86-64.
func tiny(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "tiny")
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\nfunc main() {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GO111MODULE=off", "GOFLAGS=")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// changed has a byte or a u16 of a file replaced.
func changed(content string, at int, value uint16) string {
	b := []byte(content)
	binary.LittleEndian.PutUint16(b[at:], value)
	return string(b)
}

// put writes the parts of an ELF file.
func put(parts ...any) string {
	var b bytes.Buffer
	for _, p := range parts {
		_ = binary.Write(&b, binary.LittleEndian, p) // a buffer takes everything
	}
	return b.String()
}

// head is the header of a 64-bit program with one thing to load.
func head() elf.Header64 {
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64, Phentsize: 56, Shentsize: 64, Phoff: 64, Phnum: 1}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	return h
}

// dynamic is an ELF program that asks for a loader.
func dynamic(loader string) string {
	return put(head(), elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 56, Filesz: uint64(len(loader)) + 1}, []byte(loader), byte(0))
}

// x32 is a 32-bit program for 64-bit processors.
func x32() string {
	h := elf.Header32{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 52, Phentsize: 32, Shentsize: 40, Phoff: 52, Phnum: 1}
	copy(h.Ident[:], elf.ELFMAG+"\x01\x01\x01")
	return put(h, elf.Prog32{Type: uint32(elf.PT_LOAD)})
}

// i386 is a program for the 32-bit processors.
func i386() string { return changed(x32(), 18, uint16(elf.EM_386)) }

func TestCheck(t *testing.T) {
	program := tiny(t)
	const dataAt, abiAt, typeAt, machineAt = 5, 7, 16, 18 // of e_ident, and e_type and e_machine (elf(5))
	long := func(n int) string { return "#!/bin/sh " + strings.Repeat("x", n-len("#!/bin/sh ")) }
	for name, c := range map[string]struct{ content, want string }{
		"a static program":     {program, ""},
		"for arm64":            {changed(program, machineAt, uint16(elf.EM_AARCH64)), "is for aarch64, 64-bit, and the system for amd64"},
		"for x32":              {x32(), "is for x32"},
		"of the wrong end":     {changed(program, dataAt, 2|1<<8), "damaged"},
		"for FreeBSD":          {changed(program, abiAt, 9), "another system (FREEBSD)"},
		"an object file":       {changed(program, typeAt, uint16(elf.ET_REL)), "object file or a kernel module"},
		"a core dump":          {changed(program, typeAt, uint16(elf.ET_CORE)), "not a program (ET_CORE)"},
		"half copied":          {program[:len(program)/2], "damaged ELF file"},
		"cut off":              {put(head(), elf.Prog64{Type: uint32(elf.PT_LOAD), Filesz: 4096}), "is cut off"},
		"for i386":             {i386(), ""},
		"i386 in 64 bits":      {changed(program, machineAt, uint16(elf.EM_386)), "is for 386, 64-bit"},
		"nothing to load":      {func() string { h := head(); h.Phnum = 0; return put(h) }(), "nothing in it to load"},
		"a header's half":      {program[:40], "damaged ELF file"},
		"dynamic":              {dynamic("/lib64/ld-linux-x86-64.so.2"), "needs the loader /lib64/ld-linux-x86-64.so.2"},
		"dynamic, with loader": {dynamic("./lib/ld.so"), ""},
		"loader that is none":  {dynamic("./text"), "asks for the interpreter ./text, which is a text without #!"},
		"loader missing":       {dynamic("lib/other.so"), "needs the loader lib/other.so"},

		"empty":               {"", "is empty"},
		"a script":            {"#!/bin/sh\necho", ""},
		"an argument":         {"#! /bin/sh -x\necho", ""},
		"tabs":                {"#!\t/bin/sh\t-x\t\n", ""},
		"no line's end":       {"#!/bin/sh", ""},
		"u-root's":            {"#!/bbin/cat\n", ""},
		"not u-root's":        {"#!/bbin/strace\n", "interpreter /bbin/strace, which nodes don't have"},
		"outside /bbin":       {"#!/bbin/../bin/sh\n", "which nodes don't have"},
		"perl":                {"#!/usr/bin/perl -w\n", "interpreter /usr/bin/perl, which nodes don't have"},
		"env":                 {"#!/usr/bin/env python3\n", "look for the interpreter python3"},
		"CR":                  {"#!/bin/sh\r\necho\r\n", `lines that end as on Windows, so that it asks for the interpreter "/bin/sh\r"`},
		"CR at an argument":   {"#! /bin/sh -x\r\n", "lines that end as on Windows"},
		"only CR":             {"#!\r\n", "no interpreter"},
		"no interpreter":      {"#! \t\n/bin/sh", "names no interpreter"},
		"beside it":           {"#!./interp\n", ""},
		"beside it, plainly":  {"#!interp\n", ""},
		"in a folder":         {"#!lib/../interp -x\n", ""},
		"of another machine":  {"#!arm\n", "asks for the interpreter arm, which is for aarch64"},
		"outside":             {"#!../interp\n", "which nodes don't have"},
		"a folder":            {"#!./lib\n", "which nodes don't have"},
		"a script's script":   {"#!./script\n", ""},
		"itself":              {"#!./main\n", "too many for the kernel"},
		"the longest line":    {long(255) + "\n", ""},
		"a longer line":       {long(256) + "\n", "more than 255 bytes"},
		"much longer":         {long(2000) + "\n", "more than 255 bytes"},
		"UTF-8 mark":          {"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"},
		"UTF-16":              {"\xff\xfe#\x00!\x00", "byte order mark"},
		"an empty first line": {"\n#!/bin/sh\n", "before its #!"},
		"no #!":               {"echo hello\n", "text without #!"},
		"for Windows":         {"MZ\x90", "an EFI program"},
		"gzip":                {"\x1f\x8b\x08", "compressed by gzip"},
		"unknown":             {"\x00\x01", "is no program for Linux"},
		"a zero in the name":  {"#!/bin/sh\x00x\n", ""},
	} {
		folder := fstest.MapFS{}
		for file, content := range map[string]string{
			"main": c.content, "interp": program, "lib/ld.so": program, "text": "echo\n", "script": "#!/bin/sh\n",
			"arm": changed(program, machineAt, uint16(elf.EM_AARCH64)),
		} {
			folder[file] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		}
		checkWords(t, name, Check(folder, "main", "amd64"), c.want)
	}
	folder := fstest.MapFS{"a/b": {Data: []byte(program)}}
	checkWords(t, "a folder", Check(folder, "a", "amd64"), "is not a file")
	if err := Check(folder, "absent", "amd64"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	checkWords(t, "the wrong machine", Check(folder, "a/b", "arm64"), "is for x86_64, 64-bit, and the system for arm64")
}

func checkWords(t *testing.T, name string, err error, want string) {
	t.Helper()
	var reason *Error
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (!errors.As(err, &reason) || reason.Do == "" || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

// The kernel of this machine is asked as well: what Check takes of scripts, it starts, and what it doesn't, not.
func TestCheckAsTheKernel(t *testing.T) {
	need.File(t, "/bin/sh", "dash")
	dir := t.TempDir()
	for name, line := range map[string]string{
		"plain": "#!/bin/sh\n", "argument": "#! /bin/sh -e\n", "tabs": "#!\t/bin/sh\t\n", "cr": "#!/bin/sh\r\n", "none": "#! \n",
		"relative": "#!./plain2\n", "relative2": "#!plain2\n", "absent": "#!./absent\n", "outside": "#!../absent\n",
		"zero": "#!/bin/sh\x00x\n", "bom": "\xef\xbb\xbf#!/bin/sh\n", "newline": "\n#!/bin/sh\n", "self": "#!./self\n", "plain2": "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(line+"exit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		cmd := exec.Command("./" + e.Name())
		cmd.Path, cmd.Dir = filepath.Join(dir, e.Name()), dir
		kernel, ours := cmd.Run(), Check(os.DirFS(dir), e.Name(), "amd64")
		if (kernel == nil) != (ours == nil) {
			t.Errorf("%s: the kernel says %v, Check %v", e.Name(), kernel, ours)
		}
	}
}

// What a C compiler makes.
func TestCheckLinkedPrograms(t *testing.T) {
	gcc := need.Command(t, "gcc", "gcc")
	dir := t.TempDir()
	source := filepath.Join(dir, "x.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 3; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		flags []string
		want  string
	}{
		"dynamic":    {nil, "needs the loader /lib64/ld-linux-x86-64.so.2 and shared libraries, which nodes don't have"},
		"no-pie":     {[]string{"-no-pie"}, "needs the loader /lib64/ld-linux-x86-64.so.2"},
		"static":     {[]string{"-static"}, ""},
		"static-pie": {[]string{"-static-pie"}, ""},
		"library":    {[]string{"-shared", "-fPIC", "-Wl,-soname,libx.so.1"}, "is a shared library"},
		"library with an entry": {[]string{"-shared", "-fPIC", "-Wl,-soname,libx.so.1", "-Wl,-e,main"},
			"is a shared library"},
		"object": {[]string{"-c"}, "object file"},
	} {
		out := filepath.Join(dir, "out")
		if said, err := exec.Command(gcc, append(tt.flags, "-o", out, source)...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %q: %v\n%s", tt.flags, err, said)
		}
		checkWords(t, name, Check(os.DirFS(dir), "out", "amd64"), tt.want)
	}
	// A loader that a system brings along is a program.
	const loader = "/lib64/ld-linux-x86-64.so.2"
	checkWords(t, loader, Check(os.DirFS("/"), need.File(t, loader, "libc6")[1:], "amd64"), "")
}
