package site

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// bin reads bin and binargs: a program that the node itself runs.
type bin struct{}

func (bin) read(m *mapping, f *folder, arch text) (catalog.Launch, []string) {
	b := catalog.Bin{Args: m.words("binargs")}
	if t, ok := m.required("bin", "name the program's file, relative to this folder: bin: hello"); ok {
		if file, ok := f.file(m.check, "bin", t); ok {
			b.Program = file.path
			f.checkProgram(m.check, file, t, arch.value)
		}
	}
	return catalog.Launch{Method: catalog.MethodBin, Bin: &b, After: readAfter(m)}, f.all(m.check)
}

// machines are the processors whose programs a node of an architecture runs; Debian's kernels have IA32_EMULATION and COMPAT.
var machines = map[string][]elf.Machine{
	"amd64": {elf.EM_X86_64, elf.EM_386},
	"arm64": {elf.EM_AARCH64, elf.EM_ARM},
}

// checkProgram reports a file that a node can't run.
func (f *folder) checkProgram(c *checker, file systemFile, t text, arch string) {
	bad := func(what, do string) { c.problem(t.place, fmt.Sprintf("bin %s %s", file.path, what), do) }
	const static = "link it statically (gcc -static; go build with CGO_ENABLED=0): nodes have no shared libraries"
	switch {
	case len(file.head) == 0:
		bad("is empty", "copy it here again")
		return
	case bytes.HasPrefix(file.head, []byte("#!")):
		f.checkScript(c, file, t)
		return
	case !bytes.HasPrefix(file.head, []byte(elf.ELFMAG)):
		bad("is no program for Linux: it is "+identify(file.head).what, "name an ELF program, or a script that begins with #!/bin/sh")
		return
	}
	program, close, err := f.openELF(file.path)
	if err != nil {
		bad(fmt.Sprintf("is a damaged ELF file (%v)", err), "copy it here again")
		return
	}
	defer close()
	switch {
	case !slices.Contains(machines[arch], program.Machine):
		bad(fmt.Sprintf("is for %s, and the system for %s", machineName(program.Machine), arch), "name a program for that, or write arch:")
	case program.Type != elf.ET_EXEC && program.Type != elf.ET_DYN:
		bad("is an object file or a core dump, not a program", "name the linked program")
	default:
		interpreter := interpreter(program)
		if interpreter != "" {
			bad(fmt.Sprintf("needs the loader %s, which nodes don't have", interpreter), static)
		} else if program.Type == elf.ET_DYN && !selfContained(program) {
			bad("is a shared library", "name the program that uses it, "+static)
		}
	}
}

// openELF opens a program of the folder.
func (f *folder) openELF(name string) (program *elf.File, close func() error, err error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	program, err = elf.NewFile(file)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return program, file.Close, nil
}

// machineName is EM_X86_64 as x86_64.
func machineName(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

// maxInterpreter is PATH_MAX of Linux.
const maxInterpreter = 4096

// interpreter is the dynamic linker that a program asks for (PT_INTERP); empty: none.
func interpreter(program *elf.File) string {
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz <= maxInterpreter {
			name, err := io.ReadAll(p.Open())
			if err == nil {
				return string(bytes.TrimRight(name, "\x00"))
			}
		}
	}
	return ""
}

// selfContained tells a static program that can be anywhere in memory (static-pie) from a shared library: it says so in
// its dynamic section (DF_1_PIE), or has no such section.
func selfContained(program *elf.File) bool {
	flags, err := program.DynValue(elf.DT_FLAGS_1)
	if err != nil {
		return true
	}
	for _, value := range flags {
		if elf.DynFlag1(value)&elf.DF_1_PIE != 0 {
			return true
		}
	}
	return program.Section(".dynamic") == nil
}

// checkScript reports a script whose interpreter is neither a node's shell nor a file of the system.
func (f *folder) checkScript(c *checker, file systemFile, t text) {
	line, _, _ := bytes.Cut(file.head[2:], []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		c.problem(t.place, fmt.Sprintf("bin %s begins with #! but names no interpreter", file.path), "write #!/bin/sh")
		return
	}
	name := words[0]
	if name == "/bin/sh" || path.Dir(name) == "/bbin" {
		return
	}
	if info, err := f.root.Stat(name); err == nil && info.Mode().IsRegular() && !path.IsAbs(name) {
		return
	}
	c.problem(t.place, fmt.Sprintf("bin %s asks for the interpreter %s, which nodes don't have", file.path, name),
		"write #!/bin/sh, whose commands are those of u-root, or name a static interpreter as bin: and the script in binargs:")
}
