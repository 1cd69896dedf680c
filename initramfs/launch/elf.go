package launch

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machines are the processors whose programs a kernel of this GOARCH runs: its own, and the 32-bit ones it is compatible with.
var machines = map[string][]elf.Machine{
	"amd64": {elf.EM_X86_64, elf.EM_386},
	"arm64": {elf.EM_AARCH64, elf.EM_ARM},
	"386":   {elf.EM_386},
}

// checkProgram says why a file can't be run on this node; nil if nothing speaks against it. exists tells whether the node has
// a file.
func checkProgram(path string, exists func(string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.New("it is not a file; bin: in its config.yaml must name the program itself")
	}
	head, err := bufio.NewReaderSize(f, 256).Peek(256) // as much as the kernel looks at (BINPRM_BUF_SIZE)
	switch {
	case len(head) == 0:
		return fmt.Errorf("it is empty (%w)", err)
	case bytes.HasPrefix(head, []byte("#!")):
		return checkScript(head, exists)
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return checkELF(f, exists)
	}
	return errors.New("it is not a program: it begins neither with the mark of an ELF file nor with #! and an interpreter; " +
		"on a node only Linux programs run, best statically linked ones")
}

// checkScript looks for the interpreter that a script's first line names (execve(2), "Interpreter scripts").
func checkScript(head []byte, exists func(string) bool) error {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 {
		return errors.New("it is a script without an interpreter in its first line")
	}
	if !exists(words[0]) {
		hint := ""
		if strings.HasSuffix(string(line), "\r") {
			hint = "; its lines end as DOS has them: convert it with dos2unix"
		}
		return fmt.Errorf("it is a script for the interpreter %q, which a node does not have%s; a node has programs in /bbin only",
			words[0], hint)
	}
	return nil
}

// checkELF looks at what the kernel and the loader will want of an ELF file (elf(5)).
func checkELF(file *os.File, exists func(string) bool) error {
	f, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("it is a damaged ELF file: %w", err)
	}
	if known := machines[runtime.GOARCH]; known != nil && !contains(known, f.Machine) {
		return fmt.Errorf("it is a program for another processor (%s, %s), this machine is %s",
			machineName(f.Machine), bits(f.Class), runtime.GOARCH)
	}
	switch f.Type {
	case elf.ET_EXEC:
	case elf.ET_DYN:
		if isLibrary(f) {
			return errors.New("it is a shared library, not a program")
		}
	case elf.ET_REL:
		return errors.New("it is an object file or a kernel module, not a program; link it first")
	default:
		return fmt.Errorf("it is an ELF file, but not a program (%s)", f.Type)
	}
	if loader := interpreter(f); loader != "" && !exists(loader) {
		return fmt.Errorf("it needs the loader %s and shared libraries, which a node does not have; link it statically "+
			"(go build with CGO_ENABLED=0, gcc -static), or put loader and libraries into the system's folder and name the loader "+
			"as bin:, with --library-path and the program in binargs", loader)
	}
	return nil
}

func contains(known []elf.Machine, m elf.Machine) bool {
	for _, k := range known {
		if k == m {
			return true
		}
	}
	return false
}

// machineName is the name of a processor without the prefix of the C constant.
func machineName(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

func bits(c elf.Class) string {
	if c == elf.ELFCLASS32 {
		return "32-bit"
	}
	return "64-bit"
}

// interpreter is the loader a dynamically linked program asks for; empty if it needs none.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > unix.PathMax {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err == nil {
			return string(bytes.TrimRight(b, "\x00"))
		}
	}
	return ""
}

// isLibrary tells a shared library from a position-independent program, which are of one type. A program either asks for a
// loader or is marked as one (DF_1_PIE) or, as loaders are, has an entry point.
func isLibrary(f *elf.File) bool {
	if f.Entry == 0 {
		return true
	}
	if interpreter(f) != "" {
		return false
	}
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	if err != nil || len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0 {
		return false
	}
	names, err := f.DynString(elf.DT_SONAME)
	return err == nil && len(names) > 0 && !strings.HasPrefix(names[0], "ld")
}

// explainExec says what an error of starting a program means that passed checkProgram (execve(2)).
func explainExec(err error) error {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("the kernel does not know its format, or runs no 32-bit programs (CONFIG_IA32_EMULATION): %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("it, or the loader or interpreter it needs, is not there: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the kernel does not let it run: %w", err)
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("there is not enough memory for it: %w; choose a smaller system or restart the node", err)
	case errors.Is(err, unix.E2BIG):
		return fmt.Errorf("its arguments are too long: %w; shorten binargs: in its config.yaml", err)
	}
	return err
}
