package site

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/self"
)

// Origin is where a file of a system comes from.
type Origin struct {
	// Path is the file's in the system's folder, slash-separated; empty: it is the manifest of a whole system.
	Path string
	URL  originurl.URL
	// SHA256 is that of the file, in hex.
	SHA256 string
	// Size is in bytes; -1: it is not known. The file is never longer than Limit.
	Size, Limit int64
}

// Manifest reports whether it is the manifest of a whole system.
func (o Origin) Manifest() bool { return o.Path == "" }

// inFolder reports whether the file is read as if it were in the system's folder. config.yaml of a whole system is not: one is there.
func (o Origin) inFolder() bool { return o.Path != "" && o.Path != SystemFile }

// Name is what the file is called in messages.
func (o Origin) Name() string {
	if o.Manifest() {
		return "the system's manifest"
	}
	return o.Path
}

// from is what the key from says.
type from struct {
	files []Origin
	// missing are those to be fetched next.
	missing []Origin
	// unknown says that the system's config.yaml, or the list of its files, is among them.
	unknown bool
}

const fromForms = "write from: {FILE: {url: https://…, sha256: …}}, or of a whole system from: oci://REGISTRY/NAME@sha256:DIGEST"

// readFrom reads where files of the system come from: a mapping of files, or one URL of a whole system, whose config.yaml says what
// this one leaves open.
func readFrom(m *mapping, f *folder) from {
	var r from
	switch m.value("from").(type) {
	case nil:
		return r
	case *ast.MappingNode:
		r.files = readFromFiles(m.mapping("from"), f)
	case *ast.StringNode, *ast.LiteralNode:
		if r = readFromSystem(m, f); r.unknown {
			return r
		}
	default:
		m.wrongType(m.value("from"), "from", "a group of files or the URL of a system", fromForms)
		return r
	}
	for _, o := range r.files {
		if o.inFolder() {
			f.root.from[o.Path] = o.SHA256
		}
		if !f.root.has(o.SHA256) {
			r.missing = append(r.missing, o)
		}
	}
	return r
}

// readFromFiles reads {FILE: {url: …, sha256: …, size: …}}.
func readFromFiles(m *mapping, f *folder) (files []Origin) {
	names := make([]string, 0, len(m.keys))
	for name := range m.keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		one := m.mapping(name)
		at := m.keys[name]
		o, ok := readOrigin(one, at, name)
		if ok = f.mayCome(m.check, at, &o) && ok; !ok {
			f.root.from[o.Path] = unknownSum // that it is not in the folder is no second problem
		} else {
			if slices.ContainsFunc(files, func(other Origin) bool { return other.Path == o.Path }) {
				m.check.problem(at, fmt.Sprintf("%s%s is given twice", m.path, o.Path), "remove one of the two")
				continue
			}
			files = append(files, o)
		}
		one.done()
	}
	m.done()
	return files
}

func readOrigin(m *mapping, at place, name string) (o Origin, ok bool) {
	o = Origin{Path: path.Clean(name), Size: -1, Limit: catalog.MaxSize}
	if len(m.keys) == 0 {
		m.check.problem(at, strings.TrimSuffix(m.path, ".")+" says nothing", "write {url: https://…, sha256: …}")
		return o, false
	}
	u, hasURL := m.required("url", "write where the file is: url: https://HOST/PATH")
	if m.has("size") {
		if o.Size = int64(m.integer("size", -1, 0, catalog.MaxSize)); o.Size >= 0 {
			o.Limit = o.Size
		}
	} else {
		m.value("size")
	}
	sum, hasSum := m.required("sha256", "write the SHA-256 of the file, which its publisher says, or: sha256sum "+path.Base(o.Path))
	if hasSum {
		o.SHA256 = strings.ToLower(strings.TrimPrefix(sum.value, "sha256:"))
		if hasSum = originurl.IsDigest(o.SHA256); !hasSum {
			m.check.problem(sum.place, fmt.Sprintf("%ssha256: %q is no SHA-256", m.path, sum.value), "write the 64 hexadecimal digits that sha256sum prints")
		}
	}
	if !hasURL {
		return o, false
	}
	var err error
	if o.URL, err = originurl.Parse(u.value); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		m.check.problem(u.place, m.path+"url: "+what, do)
		return o, false
	}
	if o.URL.Digest != "" || o.URL.Tag != "" {
		m.check.problem(u.place, m.path+"url names a version of a whole system, and this is one file",
			"write the file's own URL, or of a whole system from: "+o.URL.String())
		return o, false
	}
	return o, hasSum
}

// mayCome reports what can't come from elsewhere under the name that it has.
func (f *folder) mayCome(c *checker, at place, o *Origin) bool {
	bad := func(what, do string) bool {
		c.problem(at, "from: "+o.Path+" "+what, do)
		return false
	}
	switch _, err := f.root.folder.Lstat(o.Path); {
	case path.IsAbs(o.Path) || o.Path == ".." || strings.HasPrefix(o.Path, "../"):
		return bad("leaves the system's folder", "write the name that the file is to have in "+f.shown)
	case o.Path == SystemFile:
		return bad("is the file in which this stands", "of a whole system, write from: oci://REGISTRY/NAME@sha256:DIGEST")
	case catalog.CheckPath(o.Path) != nil:
		return bad("is not a file's name", "write the name that the file is to have in "+f.shown)
	case err == nil:
		return bad("is in "+f.shown+" as well", "remove the file, or from: "+o.Path)
	case !errors.Is(err, fs.ErrNotExist):
		return bad(fmt.Sprintf("can't have that name (%v)", cause(err)), "write another name, or make the folder readable for this user")
	}
	return true
}

// readFromSystem reads the URL of a whole system, and takes from its config.yaml what m doesn't say. Its manifest names its files.
func readFromSystem(m *mapping, f *folder) (r from) {
	t := m.text("from", "")
	bad := func(what, do string) from {
		m.check.problem(t.place, "from: "+what, do)
		return from{unknown: true}
	}
	u, err := originurl.Parse(strings.TrimSpace(t.value))
	if err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		return bad(what, do)
	}
	switch {
	case u.Digest == "" && u.Scheme == originurl.OCI:
		tag := u
		if tag.Tag == "" {
			tag.Tag = "latest"
		}
		what := u.String() + " names no digest"
		if u.Tag != "" {
			what = fmt.Sprintf("the tag %q can be given to another version at any time", u.Tag)
		}
		return bad(what, fmt.Sprintf("write the digest behind it, oci://%s/%s@sha256:…, which '%s push' printed, or: skopeo inspect --format '{{.Digest}}' docker://%s",
			u.Host, u.Path, self.Seeder(), strings.TrimPrefix(tag.String(), "oci://")))
	case u.Digest == "":
		return bad(u.String()+" names no digest of a whole system", "of one file, write from: {FILE: {url: "+u.String()+", sha256: …}}; of a system, what '"+self.Seeder()+" push' printed")
	}
	manifest := Origin{URL: u, SHA256: u.Digest, Size: -1, Limit: artifact.MaxManifest}
	if !f.root.has(u.Digest) {
		return from{files: []Origin{manifest}, missing: []Origin{manifest}, unknown: true}
	}
	body, err := fs.ReadFile(f.root.fetched.FS(), u.Digest)
	if err != nil {
		return bad(fmt.Sprintf("the manifest that was fetched can't be read (%v)", cause(err)), "make it readable for this user")
	}
	content, err := artifact.Parse(body)
	if err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		return bad(u.String()+": "+what, do)
	}
	return f.takeSystem(m, t, manifest, content)
}

// takeSystem is what the manifest of a whole system says, once that is here.
func (f *folder) takeSystem(m *mapping, t text, manifest Origin, content artifact.Manifest) (r from) {
	u := manifest.URL
	r.files = []Origin{manifest}
	var config Origin
	for _, file := range content.Files {
		o := Origin{Path: file.Path, URL: u.Blob(file.SHA256), SHA256: file.SHA256, Size: file.Size, Limit: file.Size}
		if file.Path == artifact.ConfigFile {
			config = o
			continue
		}
		if f.mayCome(m.check, t.place, &o) {
			r.files = append(r.files, o)
		}
	}
	r.files = append(r.files, config)
	if !f.root.has(config.SHA256) {
		return from{files: r.files, missing: []Origin{config}, unknown: true}
	}
	shown := path.Join(f.shown, SystemFile) + " of " + u.String()
	if base := readDocument(m.check, f.root.fetched.FS(), config.SHA256, shown); base != nil {
		m.inherit(base, "from")
	}
	return r
}
