package program

import (
	"bytes"
	"debug/elf"
	"io"
	"io/fs"
	"strings"
)

// kind is a processor as ELF names it.
type kind struct {
	machine elf.Machine
	class   elf.Class
}

// kinds are the processors whose programs nodes of an architecture run; Debian's kernels have IA32_EMULATION and COMPAT. x32, which is
// EM_X86_64 in 32 bits, they have switched off.
var kinds = map[string][]kind{
	"amd64": {{elf.EM_X86_64, elf.ELFCLASS64}, {elf.EM_386, elf.ELFCLASS32}},
	"arm64": {{elf.EM_AARCH64, elf.ELFCLASS64}, {elf.EM_ARM, elf.ELFCLASS32}},
	"386":   {{elf.EM_386, elf.ELFCLASS32}},
}

// checkELF looks at what the kernel and the dynamic linker will want of an ELF file (elf(5), load_elf_binary).
func checkELF(folder fs.FS, r io.ReaderAt, size int64, arch string, depth int) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return refuse("copy it here again", "is a damaged ELF file (%v)", err)
	}
	defer f.Close()
	if err := checkProgram(f, size, arch, "name a program for that, or write arch:"); err != nil {
		return err
	}
	const static = "link it statically (gcc -static; go build with CGO_ENABLED=0), or put loader and libraries into the system's folder " +
		"and name the loader as bin:, with --library-path and the program in binargs:"
	loader := interpreter(f)
	if loader == "" {
		return checkStatic(f)
	}
	return checkInterpreter(folder, loader, arch, depth, func() error {
		return refuse(static, "needs the loader %s and shared libraries, which nodes don't have", loader)
	})
}

// checkProgram looks at what concerns the file alone. other is what to do with one for another processor.
func checkProgram(f *elf.File, size int64, arch, other string) error {
	if err := checkMachine(f, arch, other); err != nil {
		return err
	}
	switch f.Type {
	case elf.ET_EXEC, elf.ET_DYN:
	case elf.ET_REL:
		return refuse("name the linked program", "is an object file or a kernel module, not a program")
	default:
		return refuse("name the linked program", "is an ELF file, but not a program (%s)", f.Type)
	}
	if len(f.Progs) == 0 {
		return refuse("name the linked program", "is an ELF file with nothing in it to load (debugging symbols?)")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && (p.Off > uint64(size) || p.Filesz > uint64(size)-p.Off) {
			return refuse("copy it here again", "is cut off: it has %d bytes, and needs %d", size, p.Off+p.Filesz)
		}
	}
	return nil
}

// checkStatic checks a program that asks for no dynamic linker.
func checkStatic(f *elf.File) error {
	if isLibrary(f) {
		return refuse("name the program that uses it", "is a shared library, not a program")
	}
	return nil
}

func checkMachine(f *elf.File, arch, other string) error {
	name := strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
	bits := map[elf.Class]string{elf.ELFCLASS32: "32-bit", elf.ELFCLASS64: "64-bit"}[f.Class]
	known := false
	for _, k := range kinds[arch] {
		if f.Machine == k.machine && f.Class == k.class && f.Data == elf.ELFDATA2LSB {
			known = true
		}
	}
	switch {
	case f.Machine == elf.EM_X86_64 && f.Class == elf.ELFCLASS32:
		return refuse("build it for x86-64 or i386", "is for x32 (64-bit x86 with 32-bit addresses), which nodes' kernels have switched off")
	case !known:
		return refuse(other, "is for %s, %s, and the system for %s", name, bits, arch)
	case f.OSABI == elf.ELFOSABI_FREEBSD || f.OSABI == elf.ELFOSABI_OPENBSD || f.OSABI == elf.ELFOSABI_NETBSD || f.OSABI == elf.ELFOSABI_SOLARIS:
		return refuse("build it for Linux", "is for another system (%s), not for Linux", strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_"))
	}
	return nil
}

// maxInterpreter is PATH_MAX of Linux.
const maxInterpreter = 4096

// interpreter is the dynamic linker that a program asks for (PT_INTERP); empty: none.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > maxInterpreter {
			continue
		}
		if name, err := io.ReadAll(p.Open()); err == nil {
			name, _, _ := bytes.Cut(name, []byte{0})
			return string(name)
		}
	}
	return ""
}

// isLibrary tells a shared library from a position-independent program that asks for no dynamic linker, which are of one type. A
// program is marked as one (DF_1_PIE) or has no name for others to link with (DT_SONAME); of those that have, dynamic linkers
// are programs.
func isLibrary(f *elf.File) bool {
	if f.Type != elf.ET_DYN {
		return false
	}
	if f.Entry == 0 {
		return true
	}
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	if err != nil || len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0 {
		return false
	}
	names, err := f.DynString(elf.DT_SONAME)
	return err == nil && len(names) > 0 && !strings.HasPrefix(names[0], "ld")
}
