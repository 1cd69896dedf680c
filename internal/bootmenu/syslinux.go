package bootmenu

import (
	"context"
	"path"
	"slices"
	"strings"
)

// syslinuxReader reads the configuration of isolinux and its kin (https://wiki.syslinux.org, Config). Files are relative to the folder of
// the first one.
type syslinuxReader struct {
	files  *files
	dir    string
	global struct {
		def, append string
		initrd      string
	}
	entries []syslinuxEntry
	// above are the titles of the submenus that are being read.
	above []string
	help  bool
	depth int
}

type syslinuxEntry struct {
	// above are the submenus' titles.
	above []string

	label, title, kernel, initrd, append string
	def                                  bool
}

func readSyslinux(_ context.Context, f *files, name string) ([]Entry, error) {
	s := &syslinuxReader{files: f, dir: path.Dir(name)}
	if err := s.include(name); err != nil {
		return nil, err
	}
	var entries []Entry
	for _, e := range s.entries {
		entries = append(entries, s.entry(e))
	}
	return entries, nil
}

// entry is a label as what it starts.
func (s *syslinuxReader) entry(e syslinuxEntry) Entry {
	// DEFAULT may name a label or be a command line; of the latter the first word is the kernel.
	out := Entry{Title: e.title, Default: e.def || strings.EqualFold(e.label, s.global.def) && !s.anyMenuDefault()}
	if out.Title == "" {
		out.Title = e.label
	}
	out.Title = pathOf(append(e.above, out.Title))
	kernel, rest, _ := strings.Cut(e.kernel, " ")
	if kernel == "" || isModule(kernel) {
		return out
	}
	out.Kernel = inMedium(kernel, s.dir)
	out.Cmdline = strings.TrimSpace(rest + " " + e.append)
	initrd := e.initrd
	for word := range strings.FieldsSeq(out.Cmdline) {
		if value, ok := strings.CutPrefix(word, "initrd="); ok {
			initrd = value // the last one counts
		}
	}
	for name := range strings.SplitSeq(initrd, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out.Initrd = append(out.Initrd, inMedium(name, s.dir))
		}
	}
	return out
}

func (s *syslinuxReader) anyMenuDefault() bool {
	for _, e := range s.entries {
		if e.def {
			return true
		}
	}
	return false
}

// isModule reports whether what KERNEL names is a program of syslinux's or a boot sector.
func isModule(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".c32", ".com", ".cbt", ".bin", ".bss", ".bs", ".0", ".img":
		return true
	}
	return path.Base(name) == "memdisk"
}

func (s *syslinuxReader) include(name string) error {
	if s.depth++; s.depth > maxNesting {
		return errTooMuch
	}
	defer func() { s.depth-- }()
	text, err := s.files.file(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if err := s.line(strings.TrimSpace(line)); err != nil {
			return err
		}
	}
	return nil
}

// line reads one line; keywords are in any case.
func (s *syslinuxReader) line(line string) error {
	key, arg := cutWord(line)
	if s.help {
		s.help = !strings.EqualFold(key, "endtext")
		return nil
	}
	switch strings.ToLower(key) {
	case "text":
		s.help = strings.EqualFold(arg, "help")
	case "include":
		return s.included(arg)
	case "default":
		s.global.def = arg
	case "label":
		if len(s.entries) >= maxEntries {
			return errTooMuch
		}
		s.entries = append(s.entries, syslinuxEntry{above: slices.Clone(s.above), label: arg, append: s.global.append, initrd: s.global.initrd})
	case "menu":
		return s.menu(arg)
	default:
		s.set(strings.ToLower(key), arg)
	}
	return nil
}

// included reads an INCLUDE; a file that isn't there is none, as for syslinux.
func (s *syslinuxReader) included(arg string) error {
	name, _ := cutWord(arg)
	if err := s.include(inMedium(name, s.dir)); err == errTooMuch {
		return err
	}
	return nil
}

func (s *syslinuxReader) menu(arg string) error {
	key, arg := cutWord(arg)
	last := len(s.entries) - 1
	switch key = strings.ToLower(key); {
	case key == "include":
		return s.included(arg)
	case key == "begin":
		if s.above = append(s.above, strings.ReplaceAll(arg, "^", "")); len(s.above) > maxNesting {
			return errTooMuch
		}
	case key == "title" && len(s.above) > 0:
		s.above[len(s.above)-1] = arg
	case key == "end" && len(s.above) > 0:
		s.above = s.above[:len(s.above)-1]
	case key == "label" && last >= 0 && s.entries[last].title == "":
		s.entries[last].title = strings.ReplaceAll(arg, "^", "")
	case key == "default" && last >= 0 && len(s.above) == 0: // in a submenu it is that one's
		s.entries[last].def = true
	}
	return nil
}

// set reads what concerns the last label, or before the first one, all that follow.
func (s *syslinuxReader) set(key, arg string) {
	if len(s.entries) == 0 {
		switch key {
		case "append":
			s.global.append = arg
		case "initrd":
			s.global.initrd = arg
		}
		return
	}
	e := &s.entries[len(s.entries)-1]
	switch key {
	case "kernel", "linux":
		e.kernel = arg
	case "com32", "boot", "bss", "pxe", "fdimage", "comboot", "config":
		e.kernel = ""
	case "initrd":
		e.initrd = arg
	case "append":
		if e.append = arg; arg == "-" {
			e.append = "" // none, not even the one for all
		}
	}
}

// cutWord is the first word and the rest.
func cutWord(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	at := strings.IndexAny(s, " \t")
	if at < 0 {
		return s, ""
	}
	return s[:at], strings.TrimSpace(s[at:])
}
