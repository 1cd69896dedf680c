package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	systemfile "github.com/boottorrent/boottorrent/templates/system"
)

// writeConfig writes a system's config.yaml.
func (s *System) writeConfig() error {
	file, err := s.config()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, site.SystemFile), file, 0o644)
}

func (s *System) config() ([]byte, error) {
	c := systemfile.System{
		Title: oneLine(s.Title, catalog.MaxTitle), Description: oneLine(s.Description, catalog.MaxDescription), Arch: string(s.Arch), Head: s.Comments[""],
	}
	if s.Arch == arch.AMD64 {
		c.Arch = ""
	}
	switch {
	case s.Root != nil:
		c.Method, c.Keys = catalog.MethodRoot, s.rootKeys()
	case s.Kexec != nil:
		c.Method, c.Keys = catalog.MethodKexec, s.kexecKeys()
	case s.QEMU != nil:
		c.Method = catalog.MethodQEMU
		c.Keys = []systemfile.Key{{Name: "args", Values: []string{shellquote.Join(s.QEMU.Args...)}, Comment: s.Comments["args"]}}
	default:
		return nil, errors.New("nothing is known of how to start it")
	}
	c.Keys = slices.DeleteFunc(c.Keys, func(k systemfile.Key) bool { return k.Name == "" })
	return systemfile.Config(c)
}

func (s *System) rootKeys() []systemfile.Key {
	const suggested = "What the system writes goes into memory: what the images leave, at most half of it all, or what stands here: a share (\"30%\") or a size (\"2 GiB\")."
	return []systemfile.Key{
		s.key("root", s.Root.Images...),
		s.key("kernel", s.Root.Kernel), s.key("modules", s.Root.Modules), s.key("cmdline", s.Root.Cmdline), s.key("init", s.Root.Init),
		{Name: "writable_limit", Comment: suggested},
	}
}

func (s *System) kexecKeys() []systemfile.Key {
	return []systemfile.Key{s.key("kernel", s.Kexec.Kernel), s.key("initrd", s.Kexec.Initrd...), s.key("cmdline", s.Kexec.Cmdline)}
}

// key is a key with its comment; without a value it is not there, or, if there is a comment, as a comment too.
func (s *System) key(name string, values ...string) systemfile.Key {
	if len(values) == 1 && values[0] == "" {
		values = nil
	}
	if len(values) == 0 && s.Comments[name] == "" {
		return systemfile.Key{}
	}
	return systemfile.Key{Name: name, Values: values, Comment: s.Comments[name]}
}

// oneLine makes a text of what a source says of itself: printable, without breaks, at most so many bytes.
func oneLine(s string, limit int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	for len(s) > limit {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}

// check reads the system as the seeder will.
func (s *System) check(original bool) (site.System, error) {
	read, problems := site.LoadSystem(s.Dir, original)
	if len(problems) > 0 {
		return read, fmt.Errorf("what was made of it would not be served: %w", problems)
	}
	return read, nil
}
