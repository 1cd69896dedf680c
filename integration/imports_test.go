package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// imported are what people have (kit/sources.sh) by the names of the systems that `mkimage import` makes of it, and what the init of
// each says behind its marker. CLOUD stands for options that give a system a kernel.
var imported = []struct{ name, source, options, says string }{
	{"archive", "SOURCES/archive.tar.zst", "", "ROOT-OK name=archive"},
	{"oci", "oci:SOURCES/oci:box", "", "ROOT-OK name=oci"},
	{"registry", "REGISTRY/room/box:v1", "", "ROOT-OK name=oci"},
	{"ext4", "SOURCES/image.ext4", "", "ROOT-OK name=ext4"},
	{"erofs", "SOURCES/image.erofs", "", "ROOT-OK name=erofs"},
	{"disk", "SOURCES/disk.qcow2", "--kernel debian", "ROOT-OK name=disk"},
	{"casper", "SOURCES/casper.iso", "", "ROOT-OK name=casper"},
	{"fedora", "SOURCES/fedora.iso", "CLOUD", "ROOT-OK name=fedora"},
	{"openrc", "SOURCES/openrc", "", "OPENRC-OK runlevel=default"},
}

// Of every kind of source of a root file system a system, all in one site. Each starts on a node of its own, whose kernel command line
// names it, under phase 1's kernel or, one of them, another.
func TestImportedRoots(t *testing.T) {
	for command, pkg := range map[string]string{
		"umoci": "umoci", "skopeo": "skopeo", "docker-registry": "docker-registry", "mkfs.erofs": "erofs-utils", "mke2fs": "e2fsprogs",
		"qemu-img": "qemu-utils", "sfdisk": "fdisk", "zstd": "zstd",
	} {
		need.Command(t, command, pkg)
	}
	r := newRoom(t, "timeout: -1\nseed_time: 0\n")
	made, _, cloud := roots(t)
	dir := t.TempDir()
	r.must(r.site.Kit.MakeSources(t.Context(), dir, made))
	names := strings.NewReplacer("SOURCES", dir, "REGISTRY", r.registry(filepath.Join(dir, "oci")),
		"CLOUD", "--kernel "+cloud.Vmlinuz+" --modules "+cloud.Modules)
	for _, s := range imported {
		r.must(r.site.Import(t.Context(), names.Replace(s.source), s.name, strings.Fields(names.Replace(s.options))...))
	}
	r.dhcp()
	r.serve()
	for _, s := range imported {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := r.direct(s.name, r.seederArg(), "bt.system="+s.name, "bt.timeout=0")
			c.MemoryMiB, c.NoDisplay = 512, true
			n := r.node(c)
			said := lab.Await(t, n.Console(), toChooser+toSystem, s.says+` (.*)\n`)[1]
			release := ""
			if s.options == "CLOUD" {
				release = "kernel=" + cloud.Release
			}
			for _, want := range []string{"kernel=", release} {
				if !strings.Contains(said, want) {
					t.Errorf("its init says %q, want %q", said, want)
				}
			}
			if strings.HasPrefix(s.says, "ROOT-OK") && !strings.Contains(said, "stays=1 written") {
				t.Errorf("its init says %q: a process that stays is missing, or nothing can be written", said)
			}
			lab.Await(t, n.Console(), toMessage, `# `)
			r.must(n.Console().Send("poweroff\r"))
			_, err := n.AwaitOff(t.Context())
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// registry runs a registry on loopback, pushes the image of an OCI layout there as room/box:v1, and returns its address.
func (r *room) registry(layout string) string {
	r.t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", need.Port(r.t))
	dir := r.t.TempDir()
	config := filepath.Join(dir, "config.yml")
	r.must(os.WriteFile(config, fmt.Appendf(nil,
		"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n", dir, address), 0o644))
	cmd := exec.CommandContext(r.t.Context(), "docker-registry", "serve", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if this process is killed
	said, err := cmd.StderrPipe()
	r.must(err)
	r.must(cmd.Start())
	r.t.Cleanup(func() { _ = cmd.Wait() })
	for lines := bufio.NewScanner(said); !strings.Contains(lines.Text(), "listening on"); {
		if !lines.Scan() {
			r.t.Fatalf("the registry ends with %q", lines.Text())
		}
	}
	go io.Copy(io.Discard, said) // what it says of each request
	out, err := exec.CommandContext(r.t.Context(), "skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
		"oci:"+layout+":box", "docker://"+address+"/room/box:v1").CombinedOutput()
	if err != nil {
		r.t.Fatalf("push to the registry: %v: %s", err, out)
	}
	return address
}
