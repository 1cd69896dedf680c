package node

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

// files has the seeder serve files for machines, with these contents by their names, and returns their entry.
func (s *seeder) files(name string, content map[string]string) catalog.Files {
	s.t.Helper()
	dir := s.t.TempDir()
	for path, text := range content {
		write(s.t, filepath.Join(dir, path), []byte(text))
	}
	tree, problems := machinefiles.Read(dir, machinefiles.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())})
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	archive, err := tree.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	f := machinefiles.Listed(name, archive)
	s.mux.HandleFunc(catalog.FilesPath(f.SHA256), func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) })
	return f
}

// ours are the files for all machines, for the group and for this one, and those for others, which nobody serves.
func (s *seeder) ours() (rules catalog.Rules, files []catalog.Files) {
	rules = catalog.Rules{
		Groups:   []catalog.Group{{Name: "teachers", Match: catalog.Match{MAC: []string{"02:*"}}}, {Name: "pupils", Match: catalog.Match{MAC: []string{"52:*"}}}},
		Machines: []catalog.Machine{{MAC: "02:00:00:00:00:01", Name: "desk"}},
	}
	lost := machinefiles.Listed("pupils", []byte("nobody has these"))
	return rules, []catalog.Files{
		s.files("desk", map[string]string{"etc/who": "desk"}), lost, s.files("all", map[string]string{"etc/who": "all", "etc/mac.tmpl": "{{.MAC}}\n", "etc/all": "all"}),
		s.files("teachers", map[string]string{"etc/who": "teachers", "etc/all": "teachers"}),
	}
}

func checkFiles(t *testing.T, tree *machinefiles.Tree) {
	t.Helper()
	got := map[string]string{}
	for _, e := range tree.Entries() {
		got[e.Name] = string(e.Content)
	}
	for name, want := range map[string]string{"etc/who": "desk", "etc/all": "teachers", "etc/mac": "02:00:00:00:00:01\n"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// A machine's files are handed on to the other kernel, where the seeder is gone, and are the system's.
func TestFilesAreHandedOn(t *testing.T) {
	r := newRootRoom(t)
	r.rules, r.listed = r.ours()
	r.publish(t)
	received := r.handOver(t)
	if len(received.MachineFiles) != 3 {
		t.Errorf("handed on are %d archives", len(received.MachineFiles))
	}
	r.server.Close()
	first, _ := newNode(t, r.url)
	cfg := first.Config
	cfg.Image.PublicKey, cfg.Handoff = r.key.String(), received
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.link.setLease(r.node.link.lease())
	n.session.catalog = received.Catalog
	n.session.Use(r.url)
	tree, err := n.machineFiles(t.Context(), r.system, map[string]string{"MAC": "02:00:00:00:00:01"})
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, tree)
	if n.machineFilesSize() == 0 || n.withFiles(nil, r.system) == nil {
		t.Error("they take no memory")
	}
}

// The seeder goes away while the chooser waits, or after the choice: a machine's files are here. What another seeder says they are is refused, and
// that they are others by now has the catalog read anew.
func TestFilesAreFetchedAhead(t *testing.T) {
	s := newSeeder(t)
	n, _ := newNode(t, s.url)
	lease := n.link.lease()
	lease.MAC = []byte{2, 0, 0, 0, 0, 1}
	n.link.setLease(lease)
	cat := &catalog.Catalog{Systems: []catalog.System{s.system}}
	cat.Rules, cat.Files = s.ours()
	n.session.catalog = cat
	if _, err := n.download.archives.fetch(t.Context(), n.session.Seeders, n.filesFor(cat)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(f *catalog.Files)
		want   string
		stale  bool
	}{
		{change: func(f *catalog.Files) { f.SHA256 = strings.Repeat("0", 64) }, want: "no longer offers", stale: true},
		{change: func(f *catalog.Files) {
			s.mux.HandleFunc(catalog.FilesPath(strings.Repeat("1", 64)), func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("others")) })
			f.SHA256 = strings.Repeat("1", 64)
		}, want: "the files for all: what came has 6 bytes and the SHA-256"},
	} {
		other := *cat
		other.Files = append([]catalog.Files(nil), cat.Files...)
		tt.change(&other.Files[2])
		n.session.catalog = &other
		err := n.Fetch(t.Context(), s.system)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, boot.ErrStale) != tt.stale {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	n.session.catalog = cat
	s.server.Close()
	tree, err := n.machineFiles(t.Context(), s.system, n.vars(s.system))
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, tree)
	if tree, err := n.machineFiles(t.Context(), catalog.System{Launch: catalog.Launch{Method: catalog.MethodBin}}, nil); tree != nil || err != nil {
		t.Errorf("a program gets %v, %v", tree, err)
	}
	n.session.catalog = &catalog.Catalog{}
	if tree, err := n.machineFiles(t.Context(), s.system, nil); tree != nil || err != nil {
		t.Errorf("where there are none: %v, %v", tree, err)
	}
}

func TestFilesTakeMemory(t *testing.T) {
	s := newSeeder(t)
	n, _ := newNode(t, s.url)
	n.session.catalog = &catalog.Catalog{Files: []catalog.Files{{For: "all", Size: 1 << 20}}}
	method, err := launch.For(s.system, n.session.catalog)
	if err != nil {
		t.Fatal(err)
	}
	need := n.withFiles(method, s.system).Need(s.system, nil)
	if len(need.Parts) != 1 || need.Parts[0].Bytes != filesInKexec<<20 {
		t.Errorf("it takes %+v", need)
	}
}
