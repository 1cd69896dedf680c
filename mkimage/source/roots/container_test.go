package roots

import (
	"debug/elf"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

// ociFolder is an OCI image layout with the image base:tag of a root file system: a layer with all files, and one that takes one away.
func ociFolder(t *testing.T, dir, arch string) string {
	t.Helper()
	layout := filepath.Join(t.TempDir(), "layout")
	umoci := func(args ...string) { run(t, "umoci", "umoci", args...) }
	umoci("init", "--layout", layout)
	umoci("new", "--image", layout+":base")
	umoci("config", "--image", layout+":base", "--os", "linux", "--architecture", arch, "--config.entrypoint", "/bin/sh")
	umoci("insert", "--image", layout+":base", dir, "/")
	umoci("insert", "--image", layout+":base", "--whiteout", "/usr/bin/gone")
	return layout
}

func TestOCIFolder(t *testing.T) {
	layout := ociFolder(t, root(t, elf.EM_X86_64), "amd64")
	var first string
	for _, text := range []string{"oci:" + layout + ":base", "oci:" + layout, layout} {
		r, err := imported(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := r.files(t); got != wantFiles("usr/bin/gone") {
			t.Errorf("%s: files:\n%s", text, got)
		}
		if first == "" {
			first = image(t, r)
		}
		if image(t, r) != first {
			t.Errorf("%s: it becomes another image", text)
		}
		if !strings.Contains(r.table, "2 layers of "+strings.TrimPrefix(text, "oci:")) || !strings.Contains(r.config(t), "a system starts its init") && !strings.Contains(r.config(t), "system\n# starts its init") {
			t.Errorf("%s\n%s", r.table, r.config(t))
		}
	}
}

// A system for arm64 comes of what is for arm64, in a site that has such machines.
func TestContainerARM64(t *testing.T) {
	arm := ociFolder(t, root(t, elf.EM_AARCH64), "arm64")
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, site.ConfigFile), "version: 1\narch: [amd64, arm64]\n")
	r, err := importedTo(t, dir, "oci:"+arm)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.config(t), "\narch: arm64\n") {
		t.Errorf("config.yaml is\n%s", r.config(t))
	}
	if _, err := imported(t, root(t, elf.EM_AARCH64), func(o *source.Options) { o.Arch = arch.AMD64 }); err == nil ||
		!strings.Contains(err.Error(), "its /sbin/init is for arm64, and --arch says amd64") {
		t.Errorf("%v", err)
	}
}

func TestContainerRefused(t *testing.T) {
	arm := ociFolder(t, root(t, elf.EM_AARCH64), "arm64")
	layout := ociFolder(t, root(t, elf.EM_X86_64), "amd64")
	lying := ociFolder(t, root(t, elf.EM_AARCH64), "amd64")
	run(t, "umoci", "umoci", "tag", "--image", layout+":base", "other")
	damaged := ociFolder(t, root(t, elf.EM_X86_64), "amd64")
	damage(t, damaged)
	for _, test := range []struct{ name, source, says string }{
		{"another platform", "oci:" + arm, "the image is for arm64, and the site's machines are amd64; take one for those, or, if there are others too, write into boottorrent.yaml: arch: [amd64, arm64]"},
		{"a program of another architecture", "oci:" + lying, "its /sbin/init is for arm64"},
		{"a tag that is not there", "oci:" + layout + ":none", `no image with the tag "none", only: base, other`},
		{"several images", "oci:" + layout, "name one by its tag: base, other"},
		{"no layout", "oci:" + t.TempDir(), "is no OCI image layout"},
		{"a damaged layer", "oci:" + damaged, "damaged"},
		{"an archive of a layout", tarOf(t, layout), "unpack it"},
		{"no archive", "docker-archive:/etc/passwd", "'docker save'"},
		{"a registry that is not there", "localhost:1/x/y:z", "connection refused"},
		{"a name that can't be resolved", "registry.invalid/x:y", "the registry's name registry.invalid can't be resolved"},
	} {
		if _, err := imported(t, test.source); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
}

// damage changes a byte of the largest blob of a layout.
func damage(t *testing.T, layout string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range blobs {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b[0] != '{' {
			b[len(b)/2] ^= 0x55
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDockerArchive(t *testing.T) {
	layout := ociFolder(t, root(t, elf.EM_X86_64), "amd64")
	file := filepath.Join(t.TempDir(), "saved.tar")
	run(t, "skopeo", "skopeo", "copy", "--insecure-policy", "oci:"+layout+":base", "docker-archive:"+file+":lab/desktop:1")
	packed := file + ".gz"
	write(t, packed, string(run(t, "gzip", "gzip", "-c", file)))
	for _, text := range []string{"docker-archive:" + file, "docker-archive:" + file + ":lab/desktop:1", file, packed} {
		r, err := imported(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := r.files(t); got != wantFiles("usr/bin/gone") {
			t.Errorf("%s: files:\n%s", text, got)
		}
	}
	if _, err := imported(t, "docker-archive:"+file+":none"); err == nil || !strings.Contains(err.Error(), "lab/desktop:1") {
		t.Errorf("%v", err)
	}
}

func TestRegistry(t *testing.T) {
	host := startRegistry(t)
	layout := ociFolder(t, root(t, elf.EM_X86_64), "amd64")
	run(t, "skopeo", "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "oci:"+layout+":base", "docker://"+host+"/lab/desktop:1")
	digest := strings.TrimSpace(string(run(t, "skopeo", "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+host+"/lab/desktop:1")))
	var first string
	for _, text := range []string{host + "/lab/desktop:1", host + "/lab/desktop@" + digest} {
		r, err := imported(t, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := r.files(t); got != wantFiles("usr/bin/gone") {
			t.Errorf("%s: files:\n%s", text, got)
		}
		if first == "" {
			first = image(t, r)
		}
		if image(t, r) != first {
			t.Errorf("%s: it becomes another image", text)
		}
	}
	if _, err := imported(t, host+"/lab/desktop:none"); err == nil || !strings.Contains(err.Error(), "look at its name and tag") {
		t.Errorf("%v", err)
	}
	index(t, host, digest)
	if r, err := imported(t, host+"/lab/desktop:both"); err != nil || image(t, r) != first {
		t.Errorf("of an index: %v", err)
	}
	if _, err := imported(t, host+"/lab/desktop:both", func(o *source.Options) { o.Arch = arch.ARM64 }); err == nil || !strings.Contains(err.Error(), "the image is for amd64, and --arch says arm64") {
		t.Errorf("of an index that lies about an image: %v", err)
	}
	if _, err := imported(t, host+"/lab/desktop:arm"); err == nil || !strings.Contains(err.Error(), "no image for linux/amd64, only for linux/arm64") {
		t.Errorf("%v", err)
	}
}

// index puts two lists of images into the registry: both names our image for amd64 and for arm64, arm for arm64 alone.
func index(t *testing.T, host, digest string) {
	t.Helper()
	raw := run(t, "skopeo", "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+host+"/lab/desktop:1")
	entry := func(arch string) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d,"platform":{"os":"linux","architecture":%q}}`, digest, len(raw), arch)
	}
	for tag, entries := range map[string]string{"both": entry("arm64") + "," + entry("amd64"), "arm": entry("arm64")} {
		const media = "application/vnd.oci.image.index.v1+json"
		body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, media, entries)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/v2/lab/desktop/manifests/"+tag, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", media)
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Fatalf("the registry says %s", answer.Status)
		}
	}
}

// startRegistry starts a registry on loopback, and returns its HOST:PORT.
func startRegistry(t *testing.T) string {
	t.Helper()
	dir, host := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", need.Port(t))
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", dir, host))
	cmd := exec.CommandContext(t.Context(), need.Command(t, "docker-registry", "docker-registry"), "serve", config)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(need.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get("http://" + host + "/v2/"); err == nil {
			answer.Body.Close()
			return host
		}
	}
	t.Fatal("the registry does not answer")
	return ""
}
