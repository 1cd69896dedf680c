package site

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

var update = flag.Bool("update", false, "write golden results into testdata")

// TestLoad loads the sites in testdata. Each file is a site in txtar form, with what Load must say of it in the sections
// "problems" and "warnings", and in "systems" what becomes of each folder where not all are whole; none if there is no site. Lines of the comment that begin with a $ make what text can't hold:
//
//	$ kernel PATH amd64|arm64 [RELEASE]    a kernel's header, and nothing else
//	$ modules PATH RELEASE MODULE...       an archive of modules
//	$ squashfs PATH COMPRESSION            an image's superblock, and zeros; ext4 PATH likewise
//	$ truncate PATH BYTES
//	$ elf PATH KIND              a program's header; see elfHeader
//	$ poke PATH OFFSET HEX       bytes changed in a file
//	$ symlink TARGET PATH
//	$ mkdir PATH
//	$ bytes PATH HEX
//	$ chmod MODE PATH
//	$ rm PATH
//	$ fifo PATH
//	$ socket PATH
func TestLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			file, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			makeSite(t, "site", archive)
			loaded, problems := Load("site")
			if (loaded == nil) != (len(problems) > 0) {
				t.Errorf("site %v with %d problems", loaded, len(problems))
			}
			var warnings Problems
			if loaded != nil {
				warnings, problems = loaded.Warnings, loaded.AllProblems()
			}
			golden := map[string]string{"problems": lines(problems), "warnings": lines(warnings), "systems": folders(loaded)}
			if *update {
				writeGolden(t, file, archive, golden)
				return
			}
			for name, got := range golden {
				if want := section(archive, name); got != want {
					t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
				}
			}
		})
	}
}

func lines(p Problems) string {
	if len(p) == 0 {
		return ""
	}
	return keyID.ReplaceAllString(p.Error(), "KEYID") + "\n"
}

// goldenSections are what Load says.
var goldenSections = []string{"problems", "warnings", "systems"}

// folders says what became of each folder of oss/; nothing of a site where all is well.
func folders(s *Site) string {
	if s == nil || len(s.AllProblems())+len(s.Unfinished)+len(s.Absent) == 0 {
		return ""
	}
	var list []string
	for _, sys := range s.Systems {
		list = append(list, sys.Name+": "+sys.Title+": "+strings.Join(sys.Files, ", ")+"\n")
	}
	for _, sys := range s.Absent {
		list = append(list, sys.Name+": "+sys.Title+": "+strings.Join(sys.Files, ", ")+"\n")
		for _, o := range sys.Missing {
			list = append(list, sys.Name+" needs "+o.Name()+" from "+o.URL.Whole()+"\n")
		}
	}
	for _, b := range s.Broken {
		list = append(list, b.Name+" is broken\n")
	}
	for _, name := range s.Unfinished {
		list = append(list, name+" is unfinished\n")
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

// keyID is different in each run.
var keyID = regexp.MustCompile(`[0-9A-F]{16}`)

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func writeGolden(t *testing.T, file string, a *txtar.Archive, golden map[string]string) {
	t.Helper()
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { _, ok := golden[f.Name]; return ok })
	for _, name := range goldenSections {
		if golden[name] != "" {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(golden[name])})
		}
	}
	if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// makeSite writes an archive's files to dir, with a key pair if the archive has none.
func makeSite(t testing.TB, dir string, a *txtar.Archive) {
	t.Helper()
	files, err := newFiles("test")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.path, "boottorrent.") && f.path != ConfigFile {
			write(t, filepath.Join(dir, f.path), f.body)
			if err := os.Chmod(filepath.Join(dir, f.path), f.mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range a.Files {
		if !slices.Contains(goldenSections, f.Name) {
			write(t, filepath.Join(dir, f.Name), f.Data)
		}
	}
	for line := range strings.Lines(string(a.Comment)) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			if err := run(t, dir, strings.Fields(command)); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
	}
}

func run(t testing.TB, dir string, args []string) error {
	t.Helper()
	in := func(i int) string { return filepath.Join(dir, args[i]) }
	switch args[0] {
	case "kernel":
		write(t, in(1), kernelHeader(args[2], strings.Join(args[3:], "")))
	case "modules":
		write(t, in(1), roottest.Modules(t, args[2], args[3:]...))
	case "squashfs":
		write(t, in(1), roottest.Squashfs(args[2]))
	case "ext4":
		write(t, in(1), roottest.Ext4())
	case "truncate":
		size, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		return os.Truncate(in(1), size)
	case "elf":
		write(t, in(1), elfHeader(args[2]))
	case "poke":
		var at int
		if _, err := fmt.Sscanf(args[2], "%v", &at); err != nil {
			return err
		}
		body, err := os.ReadFile(in(1))
		if err != nil {
			return err
		}
		change, err := hex.DecodeString(args[3])
		if err != nil {
			return err
		}
		copy(body[at:], change)
		write(t, in(1), body)
	case "bytes":
		body, err := hex.DecodeString(strings.Trim(args[2], "-"))
		if err != nil {
			return err
		}
		write(t, in(1), body)
	case "symlink":
		return os.Symlink(args[1], in(2))
	case "mkdir":
		return os.MkdirAll(in(1), 0o755)
	case "chmod":
		mode, err := strconv.ParseUint(args[1], 8, 12)
		if err != nil {
			return err
		}
		return os.Chmod(in(2), os.FileMode(mode))
	case "fifo":
		return unix.Mkfifo(in(1), 0o644)
	case "socket":
		return unix.Mknod(in(1), unix.S_IFSOCK|0o644, 0)
	case "rm":
		return os.RemoveAll(in(1))
	default:
		return fmt.Errorf("unknown command")
	}
	return nil
}

func write(t testing.TB, path string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

// elfHeader is an ELF file of a kind (amd64, 386, arm64: static programs; dynamic: one with an interpreter; object), as little
// as makes it one (System V ABI, "Object Files").
func elfHeader(kind string) []byte {
	const loader = "/lib64/ld-linux-x86-64.so.2\x00"
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a buffer takes everything
	if kind == "386" {
		head := elf.Header32{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_386), Version: 1, Ehsize: 52, Phentsize: 32, Shentsize: 40, Phoff: 52, Phnum: 1}
		copy(head.Ident[:], elf.ELFMAG+"\x01\x01\x01")
		put(head)
		put(elf.Prog32{Type: uint32(elf.PT_LOAD)})
		return b.Bytes()
	}
	machine, kinds := elf.EM_X86_64, map[string]elf.Type{"object": elf.ET_REL}
	if kind == "arm64" {
		machine = elf.EM_AARCH64
	}
	head := elf.Header64{Type: uint16(cmp.Or(kinds[kind], elf.ET_EXEC)), Machine: uint16(machine), Version: 1, Ehsize: 64, Phentsize: 56, Shentsize: 64, Phoff: 64, Phnum: 1}
	copy(head.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	put(head)
	if kind == "dynamic" {
		put(elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 56, Filesz: uint64(len(loader))})
		b.WriteString(loader)
	} else {
		put(elf.Prog64{Type: uint32(elf.PT_LOAD)})
	}
	return b.Bytes()
}

// kernelHeader is the beginning of a kernel, as little as makes it one.
func kernelHeader(arch, release string) []byte {
	if arch != "arm64" {
		return roottest.Kernel(release)
	}
	b := make([]byte, 4096)
	copy(b, "MZ")
	copy(b[0x38:], "ARM\x64")
	return b
}

// What the methods' keys become.
func TestLoadMethods(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/methods.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]catalog.Launch{
		"tool":   {Method: "bin", Bin: &catalog.Bin{Program: "hello", Args: []string{"one", "two words", "three {{.MAC}}", "four more"}}, After: "last"},
		"script": {Method: "bin", Bin: &catalog.Bin{Program: "run.sh", Args: []string{"--name", "a b", "$HOME"}}, After: "poweroff"},
		"floppy": {Method: "qemu", QEMU: &catalog.QEMU{Runtime: ".qemu",
			Args: []string{"-fda", "test.img", "-drive", "file=disk.img,format=raw,if=ide", "-drive", "file=nbd:10.0.0.1:10809"}}, After: "menu"},
		"vnc": {Method: "qemu", QEMU: &catalog.QEMU{Runtime: ".qemu", Args: []string{"-cdrom", "disc.iso", "-m", "512"}, Display: "vnc",
			VNCPassword: "secret"}, After: "menu"},
		"last": {Method: "kexec", Kexec: &catalog.Kexec{Kernel: "vmlinuz", Signed: &secureboot.File{}}},
	}
	files := map[string][]string{"tool": {"data/input.txt", "hello", "hello32", "link"}, "script": {"run.sh"},
		"floppy": {"disk.img", "test.img"}, "vnc": {"disc.iso"}, "last": {"vmlinuz"}}
	for _, sys := range s.Systems {
		if !reflect.DeepEqual(sys.Launch, want[sys.Name]) || !slices.Equal(sys.Files, files[sys.Name]) {
			t.Errorf("%s: %+v %q\nwant %+v %q", sys.Name, sys.Launch, sys.Files, want[sys.Name], files[sys.Name])
		}
	}
	if len(s.Systems) != len(want) || len(s.Node.SSHKeys) != 1 {
		t.Errorf("%d systems, keys %q", len(s.Systems), s.Node.SSHKeys)
	}
}
