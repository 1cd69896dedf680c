package site

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/program"
	"github.com/boottorrent/boottorrent/internal/site/v0"
)

// systemName is what a folder of oss/ may be called. The name becomes the torrent's name, part of URLs, and the value
// of bt.system= on kernel command lines.
var systemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// arches are the architectures a node can have, as GOARCH values.
var arches = []string{"amd64", "arm64"}

// folder is a system's folder, which nothing read through it leaves.
type folder struct {
	root *Files
	// name is the system's.
	name string
	// shown is the folder's name in messages.
	shown string
	// named are the files that config.yaml names.
	named map[string]bool
}

// systemFile is a regular file in a folder. path is clean, relative and slash-separated; head is its beginning. One that is absent is
// still to be fetched, and nothing is known of what is in it.
type systemFile struct {
	path   string
	head   []byte
	absent bool
}

// systemIs says what a folder of oss/ is.
type systemIs int

// What folders are. One with problems may be anything but systemUnfinished.
const (
	// systemHidden is left alone: its name begins with a dot.
	systemHidden systemIs = iota
	// systemUnfinished has no config.yaml yet.
	systemUnfinished
	systemWhole
	// systemAbsent has files that are still to be fetched.
	systemAbsent
)

// readSystem reads the system in the folder dir, and reports to c what is wrong. shown is the folder's name in messages. The
// title's place is returned for the check that titles differ.
func readSystem(c *checker, dir, shown string) (s System, title text, is systemIs) {
	name := filepath.Base(dir)
	config := startOf(filepath.Join(shown, SystemFile))
	if strings.HasPrefix(name, ".") {
		if _, err := os.Lstat(filepath.Join(dir, SystemFile)); err == nil {
			c.warning(config, fmt.Sprintf("%s is left out because its name begins with a dot", path.Join(SystemsDir, name)), "rename the folder to offer it")
		}
		return s, title, systemHidden
	}
	root, err := openFiles(dir, c.fetched)
	if err != nil {
		c.problem(config, fmt.Sprintf("the folder can't be opened (%v)", cause(err)), "make it readable for this user")
		return s, title, systemWhole
	}
	defer root.Close()
	if _, err := root.Lstat(SystemFile); errors.Is(err, fs.ErrNotExist) {
		return s, title, systemUnfinished
	}
	if !systemName.MatchString(name) {
		c.problem(config, fmt.Sprintf("the folder's name %q can't be a system's", name),
			"rename it: up to 64 letters, digits and . _ + - beginning with a letter or digit")
	}
	m := readDocument(c, root.FS(), SystemFile, config.file)
	if m == nil {
		return s, title, systemWhole
	}
	if c.original {
		v0.System(group{m})
	}
	f := &folder{root, name, shown, map[string]bool{}}
	from := readFrom(m, f)
	if from.unknown {
		return System{Name: name, Dir: dir, Title: name, Fetched: c.fetched, From: from.files, Missing: from.missing}, title, systemAbsent
	}
	s, title = readSystemConfig(m, f)
	s.Name, s.Dir = name, dir
	if len(from.files) > 0 {
		s.Fetched, s.From, s.Missing = c.fetched, from.files, from.missing
	}
	if len(s.Missing) > 0 {
		return s, title, systemAbsent
	}
	f.checkLimits(c, s)
	return s, title, systemWhole
}

func readSystemConfig(m *mapping, f *folder) (s System, title text) {
	title, _ = m.required("dispname", "write the name to show in the chooser: dispname: Debian 12")
	title.value = strings.TrimSpace(title.value)
	checkLine(m, "dispname", title, catalog.MaxTitle)
	s.Title = title.value
	s.Description = readDescription(m)
	s.Hidden = m.boolean("hidden", false)
	auto := publishAuto
	if m.check.manual {
		auto = publishManual
	}
	s.Manual = m.oneOf("publish", auto, publishAuto, publishManual) == publishManual
	arch := text{m.place("arch"), m.oneOf("arch", "amd64", arches...)}
	if !m.has("arch") {
		arch.place = m.place("kernel") // or of the whole, where there is no such key
	}
	s.Arch = arch.value

	t, ok := m.required("method", "write how to start it: method: kexec")
	if !ok {
		return s, title
	}
	how, ok := methodNamed(t.value)
	if !ok {
		m.check.problem(t.place, fmt.Sprintf("unknown method %q", t.value), "use one of: "+methodNames)
		return s, title
	}
	s.Launch, s.Files = how.read(m, f, arch)
	m.done()
	return s, title
}

func readDescription(m *mapping) string {
	t := m.text("description", "")
	t.value = strings.TrimSpace(t.value)
	if len(t.value) > catalog.MaxDescription {
		m.check.problem(t.place, fmt.Sprintf("description is %d bytes long", len(t.value)), fmt.Sprintf("shorten it to at most %d", catalog.MaxDescription))
	}
	if strings.ContainsFunc(t.value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		m.check.problem(t.place, "description has a control character in it", "remove it")
	}
	return t.value
}

// file checks that t names a regular file within the folder, and reads its head. key is for messages.
func (f *folder) file(c *checker, key string, t text) (file systemFile, ok bool) {
	bad := func(what, do string) (systemFile, bool) {
		c.problem(t.place, fmt.Sprintf("%s %s %s", key, t.value, what), do)
		return systemFile{}, false
	}
	file.path = path.Clean(t.value)
	switch {
	case path.IsAbs(t.value) || file.path == ".." || strings.HasPrefix(file.path, "../"):
		return bad("leaves the system's folder", "copy the file into "+f.shown+" and name it relative to that")
	case strings.ContainsFunc(t.value, unicode.IsControl) || strings.ContainsRune(t.value, '\\'):
		return bad("has a backslash or control character in its name", "use slashes, and names without such characters")
	case catalog.CheckPath(file.path) != nil:
		return bad("is not a file's name", "name a file in "+f.shown)
	}
	if f.root.Absent(file.path) {
		f.named[file.path], file.absent = true, true
		return file, true
	}
	info, err := f.root.Stat(file.path)
	switch {
	case err != nil && f.leadsNowhere(file.path):
		return bad("is a symbolic link to nothing", "copy the file into "+f.shown+", or correct the link")
	case errors.Is(err, fs.ErrNotExist):
		return bad("does not exist in "+f.shown, "copy the file there, or correct the name")
	case errors.Is(err, fs.ErrPermission):
		return bad("can't be read (permission denied)", "make it readable for this user")
	case err != nil && f.exists(file.path):
		return bad("is a symbolic link out of the system's folder, or an absolute one", "copy the file into "+f.shown+", or make the link relative")
	case err != nil:
		return bad(fmt.Sprintf("can't be read (%v)", cause(err)), "correct the name, or copy the file again")
	case info.IsDir():
		return bad("is a folder", "name a file in it: "+path.Join(file.path, "FILE"))
	case !info.Mode().IsRegular():
		return bad("is not a regular file", "copy the contents into a file here")
	}
	f.named[file.path] = true
	if file.head, err = f.head(file.path); err != nil {
		return bad(fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user")
	}
	return file, true
}

// leadsNowhere reports whether a path is a symbolic link whose target isn't there, in the folder or out of it.
func (f *folder) leadsNowhere(name string) bool {
	info, err := f.root.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0 && !f.exists(name)
}

// exists reports whether a path that os.Root refused names something outside of the folder.
func (f *folder) exists(name string) bool {
	_, err := os.Stat(filepath.Join(f.root.Name(), filepath.FromSlash(name)))
	return err == nil || f.root.From(path.Clean(name))
}

// inspect reads a file with read, which is given its size in bytes too.
func (f *folder) inspect(file systemFile, read func(r io.ReaderAt, size int64) error) error {
	opened, err := f.root.OpenFile(file.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	return read(opened, info.Size())
}

func (f *folder) head(name string) ([]byte, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // should it be a named pipe by now
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head, err := io.ReadAll(io.LimitReader(file, program.HeadSize))
	return head, err
}
