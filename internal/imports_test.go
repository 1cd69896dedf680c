package internal

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/boottorrent/boottorrent/"

// allowed says which rooms each room may import besides itself.
var allowed = map[string][]string{
	"cmds":        {"initramfs", "internal"},
	"initramfs":   {"internal"},
	"seeder":      {"internal", "templates"},
	"mkimage":     {"internal", "templates"},
	"internal":    {"templates"},
	"templates":   {},
	"integration": {"internal", "mkimage", "seeder", "initramfs"},
}

// one is the program that has the commands of two rooms.
const one = module + "seeder/boottorrent"

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// all are the imports of a package and of its tests, which are as hard to take apart later.
func (p pkg) all() []string { return slices.Concat(p.Imports, p.TestImports, p.XTestImports) }

// The rooms of ARCHITECTURE.md import each other one way only.
func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		room := roomOf(p.ImportPath)
		may, known := allowed[room]
		if !known {
			t.Errorf("%s: the room %q is not in ARCHITECTURE.md", p.ImportPath, room)
		}
		for _, i := range p.all() {
			if to := roomOf(i); to != "" && to != room && !slices.Contains(may, to) && !(p.ImportPath == one && to == "mkimage") {
				t.Errorf("%s imports %s; %s may import only %v", p.ImportPath, i, room, may)
			}
		}
	}
}

// Only internal/swarm knows the BitTorrent library, so that it can be changed in one place; and the benchmark, which
// compares the two.
func TestOnlySwarmKnowsTheTorrentLibrary(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == module+"internal/swarm" || p.ImportPath == module+"integration/bench/anacrolix" {
			continue
		}
		for _, i := range p.all() {
			if strings.HasPrefix(i, "github.com/anacrolix/") {
				t.Errorf("%s imports %s; only internal/swarm may", p.ImportPath, i)
			}
		}
	}
}

// Nodes compare who signed kernels, and don't read signatures: the parser stays out of the program that every node loads.
func TestNodesDoNotReadSignatures(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmds/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for p := range strings.Lines(string(out)) {
		if p = strings.TrimSpace(p); p == module+"internal/authenticode" || strings.HasSuffix(p, "/pkcs7") {
			t.Errorf("the node's program has %s in it", p)
		}
		if strings.HasPrefix(p, "github.com/minio/minio-go/") || strings.HasPrefix(p, "github.com/google/go-containerregistry/") {
			t.Errorf("the node's program has %s in it, which brings files to seeders", p)
		}
	}
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// roomOf is the top-level folder of a package of this module, or "".
func roomOf(path string) string {
	rest, ok := strings.CutPrefix(path, module)
	if !ok {
		return ""
	}
	room, _, _ := strings.Cut(rest, "/")
	return room
}
