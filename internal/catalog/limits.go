package catalog

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What both sides must agree on. The seeder refuses to publish what is beyond these limits, and names the system that is;
// nodes refuse to read it. So a limit that a site meets with is met where a person can do something about it.
const (
	// MaxDocument is the most bytes of an encoded catalog. Every node reads it at each boot and keeps it in memory, decoded,
	// as long as phase 1 runs. Half of it is for systems: 200 with their longest descriptions and command lines fit. The other half,
	// MaxRules, is for groups and machines, of which 5,000 with a name, a group and a host name each take some 300,000 bytes.
	MaxDocument = 2 << 20
	MaxRules    = 1 << 20
	// MaxGroups is how many groups a catalog has, MaxMachines how many machines, MaxNext how many of what was said to be started next.
	// MaxGroup is the most bytes of one group in the document, as JSON: some 15 long SSH keys.
	MaxGroups   = 250
	MaxMachines = 10_000
	MaxNext     = 2500
	MaxGroup    = 16 << 10
	// MaxRuleName is the most bytes of the name of a group or machine. It becomes a folder's name, a host name, a word on command lines.
	MaxRuleName = 63
	// MaxGroupCmdline is the most bytes of what a group adds to command lines. What systems bring along themselves has to have room beside it.
	MaxGroupCmdline = 1024
	// MaxSystems is how many systems a catalog lists: more than a person chooses among.
	MaxSystems = 1000
	// MaxEntry is the most bytes of one system in the document, as JSON: a description, a command line and what surrounds
	// them, twice.
	MaxEntry = 8 << 10
	// MaxSignature is the most bytes of a signature file. minisign's own are some 300.
	MaxSignature = 4 << 10
	// MaxCounter is the highest Catalog.Counter: the last whole number up to which every reader of JSON counts exactly (RFC 8259,
	// section 6). Counters that begin with the time of day are nowhere near it.
	MaxCounter = 1<<53 - 1

	// MaxManifest is the most bytes of an encoded BootManifest, and MaxBootFiles how many files it names: kernel, initramfs, UKI and
	// a dozen boot loaders of each architecture, many times over. MaxBootFile is the most bytes of such a file.
	MaxManifest  = 1 << 20
	MaxBootFiles = 500
	MaxBootFile  = 4 << 30

	// MaxFiles is how many files a system has: seeder and node keep the list in memory, some 300 bytes a file. MaxSiteFiles is for
	// all systems of a catalog together, all of whose lists the seeder keeps.
	MaxFiles     = 100_000
	MaxSiteFiles = 1_000_000
	// MaxFileList is the most bytes of a system's list of files, and MaxTorrent of its metainfo file (BEP 3), which has the
	// same paths and 20 bytes a piece. A node has both in memory while it fetches.
	MaxFileList = 32 << 20
	MaxTorrent  = 32 << 20

	// MaxFileTree is the most bytes of an archive of files for machines, with its placeholders filled in at their longest. Every machine
	// fetches up to three of them from the seeder, not from the others: a room of 100 that gets 8 MiB loads a link of 1 Gbit/s for 7 s. MaxFileTreeEntries is
	// how many files, folders and links it has, MaxFileTrees how many archives a catalog lists, in some 130 bytes each, and
	// MaxFileTreesSize the most bytes of all, which the seeder keeps in memory.
	MaxFileTree        = 8 << 20
	MaxFileTreeEntries = 10_000
	MaxFileTrees       = 1000
	MaxFileTreesSize   = 64 << 20

	// MaxName is NAME_MAX, the most bytes of a name in a folder: on tmpfs, where nodes keep the files, and on the file
	// systems of seeders.
	MaxName = 255
	// MaxPath is the most bytes of a path within a system's folder. With the folder that a node or seeder keeps the system
	// in, it stays below Linux's PATH_MAX (4096 with a zero byte), and escaped in a URL below what HTTP servers read.
	MaxPath = 2048
	// MaxSize is the most bytes of a system: far more than any node's memory, and far from overflow.
	MaxSize = 1 << 50

	// MaxTitle and MaxDescription are the most bytes of those texts: a line, and what people read to its end.
	MaxTitle       = 100
	MaxDescription = 1000

	// MaxCmdline is the most bytes of a kernel command line with its placeholders filled in. Kernels keep
	// COMMAND_LINE_SIZE bytes, 2048 on x86 and arm64, and say in their header that they take one less (cmdline_size,
	// Linux's Documentation/arch/x86/boot.rst). kexec_file_load(2) wants KexecCmdline of those for itself. A kernel whose
	// header says less takes less.
	MaxCmdline = 2047 - KexecCmdline
	// KexecCmdline is how many bytes less than a kernel's header says kexec_file_load(2) takes: it counts the zero byte at
	// the end, and keeps room for "elfcorehdr=0x…" (MAX_ELFCOREHDR_STR_LEN, 30 bytes), though it adds that to crash kernels only
	// (bzImage64_load in arch/x86/kernel/kexec-bzimage64.c).
	KexecCmdline = 31
	// RootWords is how many bytes of the command line nodes keep for words of their own when they start the kernel of a system of
	// MethodRoot (package handoff): with the longest name, address and counter 216, and the rest for some ten consoles. MaxRootCmdline is what
	// is left for the system's own.
	RootWords      = 512
	MaxRootCmdline = MaxCmdline - RootWords
	// MaxInitrds is how many initrds a system joins, and MaxInitrd the most bytes of them together: a file that
	// kexec_file_load(2) reads has at most 4 GiB (KEXEC_FILE_SIZE_MAX in kernel/kexec_file.c).
	MaxInitrds = 64
	MaxInitrd  = 4 << 30
)

// checkText reports a text that can't be in a catalog: one that is too long, is not UTF-8 (JSON would replace what is not, so
// that two names become one), or has control characters in it, on which the consoles that show it would act. what names it.
func checkText(what, s string, most int, allowed string) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("%s has %d bytes, and nodes take %d; shorten it", what, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s %q is not UTF-8; write it in UTF-8", what, s)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) }):
		return fmt.Errorf("%s %q has a control character in it; remove it", what, s)
	}
	return nil
}

// checkWords is checkText for each of a program's arguments, which may have any character but a zero byte in them.
func checkWords(what string, words []string) error {
	for _, w := range words {
		switch {
		case !utf8.ValidString(w):
			return fmt.Errorf("%s %q is not UTF-8; write it in UTF-8", what, w)
		case strings.ContainsRune(w, 0):
			return fmt.Errorf("%s %q has a zero byte in it; remove it", what, w)
		}
	}
	return nil
}

// CheckPath reports a path that no file of a system can have. It wants a relative, clean, slash-separated path that stays in
// its folder, is UTF-8, has no backslash (a separator to clients elsewhere) and no control character, and is as short as
// file systems want it.
func CheckPath(p string) error {
	if err := checkText("the path", p, MaxPath, ""); err != nil {
		return err
	}
	if p == "" || p == "." || p != path.Clean(p) || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Errorf("the path %q leaves the system's folder or is not clean", p)
	}
	if strings.ContainsRune(p, '\\') {
		return fmt.Errorf("the path %q has a backslash in it; rename the file", p)
	}
	for element := range strings.SplitSeq(p, "/") {
		if len(element) > MaxName {
			return fmt.Errorf("the name %q has %d bytes, and file systems take %d; shorten it", element, len(element), MaxName)
		}
	}
	return nil
}

// CheckName reports a name that no system can have: it is a folder's and a torrent's.
func CheckName(name string) error {
	if err := checkText("the name", name, MaxName, ""); err != nil {
		return err
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return fmt.Errorf("the name %q is not a plain folder name", name)
	}
	return nil
}
