package handoff

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/sitepart"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// example is a node on its way to a system, with its boot part, and the key of its site.
func example(t *testing.T) (*Handoff, minisign.PublicKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	root := &catalog.Root{Images: []catalog.RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: catalog.WritableRAM}
	system := catalog.System{Name: "debian", Title: "Debian", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: root}}
	list, _, torrent := of(t, &system, "root.squashfs", "an image")
	part := catalog.Runtime{System: catalog.System{Name: "debian@boot", Title: "Kernel"}}
	_, files, partTorrent := of(t, &part.System, "boot/vmlinuz", "a kernel")
	archive, err := (&machinefiles.Tree{}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	ours := machinefiles.Listed("all", archive)
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "test", Files: []catalog.Files{ours}, Systems: []catalog.System{system}, Runtimes: []catalog.Runtime{part}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kernel := filepath.Join(dir, "debian@boot", "boot", "vmlinuz")
	if err := errors.Join(os.MkdirAll(filepath.Dir(kernel), 0o755), os.WriteFile(kernel, []byte("a kernel"), 0o644)); err != nil {
		t.Fatal(err)
	}
	state := State{
		System: "debian", Seeder: "http://10.0.0.1:8080", LeaseAge: time.Minute, At: time.Unix(1700000000, 0).UTC(), Logged: 7,
		Cmdline: config.Cmdline{Debug: true, Network: config.Network{VLAN: 5}},
		Lease: network.Lease{Interface: "eth0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParsePrefix("10.0.0.2/24"),
			Server: netip.MustParseAddr("10.0.0.1"), Duration: time.Hour},
		Report: report.Report{Boot: "b1", Durations: map[report.Step]float64{report.Choose: 3}},
	}
	return &Handoff{State: state, Catalog: document, Signature: catalog.Sign(private, document), List: list, Torrent: torrent,
		HostKey: []byte("secret"), MachineFiles: map[string][]byte{ours.SHA256: archive}, Part: &Part{System: part.System, Files: files, Torrent: partTorrent, Dir: dir}}, public
}

// of makes a system that of one file, and returns its list, encoded and not, and its torrent.
func of(t *testing.T, sys *catalog.System, path, content string) (document []byte, files catalog.FileList, torrent []byte) {
	t.Helper()
	sum := sha1.Sum([]byte(content))
	sys.Arch, sys.PieceLength = "amd64", swarm.PieceLength(int64(len(content)))
	var err error
	if torrent, sys.InfoHash, err = swarm.EncodeMetainfo(sys.Name, []swarm.FileEntry{{Path: path, Size: int64(len(content))}}, sys.PieceLength, sum[:], nil); err != nil {
		t.Fatal(err)
	}
	files = catalog.FileList{{Path: path, Size: int64(len(content)), SHA256: strings.Repeat("ab", 32)}}
	if document, err = sys.SetFiles(files); err != nil {
		t.Fatal(err)
	}
	return document, files, torrent
}

// write puts what is handed on into a folder, as the kernel does with an initramfs.
func write(t *testing.T, h *Handoff) string {
	t.Helper()
	dir := t.TempDir()
	files, err := h.files()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	h, key := example(t)
	got, err := Open(write(t, h), key)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.State, h.State) {
		t.Errorf("the state is\n%+v, want\n%+v", got.State, h.State)
	}
	if got.System.Name != "debian" || got.Catalog.Site != "test" || string(got.HostKey) != "secret" || !bytes.Equal(got.Torrent, h.Torrent) {
		t.Errorf("received %+v", got)
	}
	if !reflect.DeepEqual(got.MachineFiles, h.MachineFiles) || len(got.MachineFiles) != 1 {
		t.Errorf("the files for this machine are %v", got.MachineFiles)
	}
}

func TestElapsed(t *testing.T) {
	s := State{At: time.Unix(1700000000, 0)}
	for _, c := range []struct{ wall, want time.Duration }{
		{12 * time.Second, 12 * time.Second}, {5 * time.Second, 10 * time.Second}, {-time.Hour, 10 * time.Second}, {time.Hour, 10 * time.Second},
	} {
		if got := s.Elapsed(s.At.Add(c.wall), 10*time.Second); got != c.want {
			t.Errorf("%s by the clock, with a kernel that runs for 10 s: %s, want %s", c.wall, got, c.want)
		}
	}
}

// Nobody vouches for the folder: what is not by the site's key, or not what the catalog says, is refused.
func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(h *Handoff)
		want  string
	}{
		"a catalog by nobody":    {func(h *Handoff) { h.Catalog = bytes.Replace(h.Catalog, []byte("test"), []byte("tost"), 1) }, "changed after it was signed"},
		"no signature":           {func(h *Handoff) { h.Signature = nil }, "not a minisign signature"},
		"a signature by another": {func(h *Handoff) { h.Signature = other(h.Catalog) }, "only key"},
		"another list":           {func(h *Handoff) { h.List = append(h.List, ' ') }, "its SHA-256 is"},
		"another torrent":        {func(h *Handoff) { h.Torrent = bytes.Replace(h.Torrent, []byte("debian"), []byte("debiam"), 1) }, "not the catalog's"},
		"no torrent":             {func(h *Handoff) { h.Torrent = nil }, "the torrent of"},
		"another boot part":      {func(h *Handoff) { h.Part.Files[0].Size++ }, `the list of the files of "debian@boot"`},
		"a boot part's torrent":  {func(h *Handoff) { h.Part.Torrent = h.Torrent }, "not the catalog's"},
		"a boot part of nobody":  {func(h *Handoff) { h.Part.System.Name = "fedora@boot" }, `no boot part "fedora@boot"`},
		"files of nobody":        {func(h *Handoff) { h.MachineFiles["x"] = nil }, `no files for machines with the SHA-256 "x"`},
		"other files": {func(h *Handoff) {
			for sum := range h.MachineFiles {
				h.MachineFiles[sum] = []byte("x")
			}
		}, "the files for all: what came has 1 bytes"},
		"a system that is gone": {func(h *Handoff) { h.State.System = "fedora" }, `no system "fedora"`},
		"a catalog too large":   {func(h *Handoff) { h.Catalog = make([]byte, catalog.MaxDocument+1) }, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			h, key := example(t)
			c.spoil(h)
			if _, err := Open(write(t, h), key); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	_, key := example(t)
	if _, err := Open(filepath.Join(t.TempDir(), "none"), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v, want that it does not exist", err)
	}
}

// other signs with a key that is not the site's.
func other(document []byte) []byte {
	_, private, err := minisign.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return catalog.Sign(private, document)
}

// cpio, a foreign tool, unpacks the initramfs: what was running is in it, what was made since is not.
func TestInitramfs(t *testing.T) {
	h, key := example(t)
	root, to := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"bbin/bb": "the program", "bin/reboot": "#!/bin/sh", "etc/passwd": "root", "etc/resolv.conf": "made since",
		"lib/modules/6.1/a.ko": "of this kernel", "systems/image": "large", "root/notes": "a person's",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"init": "bbin/init", "bbin/init": "bb"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	if err := Initramfs(&archive, root, sitepart.Config{Site: "test", KernelSHA256: "beef"}, h); err != nil {
		t.Fatal(err)
	}
	size, err := Size(root, int64(len(h.Catalog)+len(h.Signature)+len(h.List)+len(h.Torrent)+len(h.Part.Torrent))+h.Part.System.Size)
	if err != nil || int64(archive.Len()) > size || archive.Len()%4 != 0 {
		t.Errorf("it has %d bytes, at most %d were expected (%v)", archive.Len(), size, err)
	}
	cmd := exec.Command(need.Command(t, "cpio", "cpio"), "-i", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = to, &archive
	if out, err := cmd.CombinedOutput(); err != nil && os.Geteuid() == 0 { // who is not root can't make devices
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]string{
		"init": "the program", "bin/reboot": "#!/bin/sh", "etc/passwd": "root", "etc/boottorrent/site.json": `"beef"`,
	} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"etc/resolv.conf", "lib/modules/6.1", "systems", "root/notes"} {
		if _, err := os.Lstat(filepath.Join(to, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is in the initramfs (%v)", name, err)
		}
	}
	got, err := Open(filepath.Join(to, Dir), key)
	if err != nil || !reflect.DeepEqual(got.State, h.State) {
		t.Errorf("received %+v, %v", got, err)
	}
	if part := got.Part; part == nil || part.System.Name != "debian@boot" || part.Dir != filepath.Join(to, Dir, partDir) {
		t.Fatalf("the boot part is %+v", part)
	}
	if kernel, err := os.ReadFile(filepath.Join(got.Part.Dir, "debian@boot/boot/vmlinuz")); err != nil || string(kernel) != "a kernel" {
		t.Errorf("its kernel is %q, %v", kernel, err)
	}
	h.Part = nil
	archive.Reset()
	if err := Initramfs(&archive, root, sitepart.Config{}, h); err != nil || bytes.Contains(archive.Bytes(), []byte("a kernel")) {
		t.Errorf("without a boot part: %v", err)
	}
	if info, err := os.Stat(filepath.Join(to, Dir, hostKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the SSH server's key: %v, %v", info, err)
	}
}

func TestInitramfsNeedsTheProgram(t *testing.T) {
	h, _ := example(t)
	if err := Initramfs(new(bytes.Buffer), t.TempDir(), sitepart.Config{}, h); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a program: %v", err)
	}
}
