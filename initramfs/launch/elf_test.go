package launch

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestCheckProgram(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// changed is a small program with some bytes of its header replaced.
	tiny := filepath.Join(dir, "tiny")
	build(t, dir, tiny, "amd64", "package main\nfunc main() {}\n")
	program, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name string, offset int, value uint16) string {
		b := append([]byte(nil), program...)
		binary.LittleEndian.PutUint16(b[offset:], value)
		return file(name, string(b))
	}
	const typeAt, machineAt = 16, 18 // e_type and e_machine
	for _, tt := range []struct{ path, want string }{
		{tiny, ""},
		{file("script", "#!/bin/sh\necho"), ""},
		{file("script2", "#! /bin/sh -e\necho"), ""},
		{file("perl", "#!/usr/bin/nowhere/perl -w\n"), `the interpreter "/usr/bin/nowhere/perl", which a node does not have`},
		{file("dos", "#!/bin/sh\r\necho"), "dos2unix"},
		{file("none", "#!\n"), "without an interpreter"},
		{file("text", "echo hello\n"), "neither with the mark of an ELF file nor with #!"},
		{file("exe", "MZ"), "not a program"},
		{file("empty", ""), "it is empty"},
		{dir, "it is not a file"},
		{file("cut", string(program[:40])), "damaged ELF file"},
		{changed("arm", machineAt, uint16(elf.EM_AARCH64)), "another processor (aarch64, 64-bit), this machine is amd64"},
		{changed("s390", machineAt, uint16(elf.EM_S390)), "another processor (s390, 64-bit)"},
		{changed("object", typeAt, uint16(elf.ET_REL)), "an object file or a kernel module"},
		{changed("core", typeAt, uint16(elf.ET_CORE)), "not a program (ET_CORE)"},
	} {
		checkWords(t, filepath.Base(tt.path), checkProgram(tt.path, exists), tt.want)
	}
	if err := checkProgram(filepath.Join(dir, "absent"), exists); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func checkWords(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", name, err, want)
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
	nothing := func(string) bool { return false }
	for name, tt := range map[string]struct {
		flags []string
		want  string
	}{
		"dynamic":    {nil, "needs the loader /lib64/ld-linux-x86-64.so.2 and shared libraries, which a node does not have"},
		"no-pie":     {[]string{"-no-pie"}, "needs the loader /lib64/ld-linux-x86-64.so.2"},
		"static":     {[]string{"-static"}, ""},
		"static-pie": {[]string{"-static-pie"}, ""},
		"library":    {[]string{"-shared", "-fPIC", "-Wl,-soname,libx.so.1"}, "it is a shared library"},
		"library with an entry": {[]string{"-shared", "-fPIC", "-Wl,-soname,libx.so.1", "-Wl,-e,main"},
			"it is a shared library"},
		"object": {[]string{"-c"}, "object file"},
	} {
		path := filepath.Join(dir, "out")
		if out, err := exec.Command(gcc, append(tt.flags, "-o", path, source)...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %q: %v\n%s", tt.flags, err, out)
		}
		checkWords(t, name, checkProgram(path, nothing), tt.want)
	}
	// A loader that a system brings along is a program.
	const loader = "/lib64/ld-linux-x86-64.so.2"
	checkWords(t, loader, checkProgram(need.File(t, loader, "libc6"), nothing), "")
}

func TestExplainExec(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENOEXEC: "32-bit", unix.ENOENT: "not there", unix.EACCES: "does not let", unix.ENOMEM: "memory", unix.E2BIG: "binargs:",
		unix.EIO: "input/output",
	} {
		got := explainExec(err)
		if !errors.Is(got, err) {
			t.Errorf("%v is lost: %v", err, got)
		}
		checkWords(t, err.Error(), got, want)
	}
}
