package site

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

func initSite(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(dir, name); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInitShowsDefaults(t *testing.T) {
	dir := initSite(t, "")
	made, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if made.Name != "lab" {
		t.Errorf("name %q, want the folder's", made.Name)
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte("version: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	bare, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if !reflect.DeepEqual(made, bare) {
		t.Errorf("the values init shows are not the defaults:\n%+v\nwant\n%+v", made, bare)
	}
}

// TestInitShowsEveryKey finds the keys by what is said of an unknown one.
func TestInitShowsEveryKey(t *testing.T) {
	dir := initSite(t, "")
	file := filepath.Join(dir, ConfigFile)
	shown, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	probe := "version: 1\nXXXXXXXX: 1\nserve: {XXXXXXXX: 1}\nports: {XXXXXXXX: 1}\nlog: {XXXXXXXX: 1}\nnode: {XXXXXXXX: 1}\n" +
		"seed: {XXXXXXXX: 1}\nlimits: {XXXXXXXX: 1, seeder: {XXXXXXXX: 1}, node: {XXXXXXXX: 1}}\n" +
		"dhcp: {XXXXXXXX: 1, range: {XXXXXXXX: 1}, reservations: [{mac: '02:00:00:00:00:01', address: 10.0.0.1, XXXXXXXX: 1}]}\n" +
		"page: {XXXXXXXX: 1}\nmachines: [{mac: '02:00:00:00:00:02', XXXXXXXX: 1}]\n" +
		"groups: [{name: some, XXXXXXXX: 1, match: {firmware: uefi, XXXXXXXX: 1}, limits: {XXXXXXXX: 1}, seed: {XXXXXXXX: 1}}]\n"
	if err := os.WriteFile(file, []byte(probe), 0o644); err != nil {
		t.Fatal(err)
	}
	_, problems := Load(dir)
	if len(problems) != 18 {
		t.Errorf("%d problems, want one a section:\n%v", len(problems), problems)
	}
	for _, p := range problems {
		_, known, ok := strings.Cut(p.Do, "known here are: ")
		if !ok {
			t.Errorf("unexpected: %v", p)
		}
		for key := range strings.SplitSeq(known, ", ") {
			if !regexp.MustCompile(`(?m)[ {]*\b`+key+`: `).Match(shown) && !strings.Contains(string(shown), key+":\n") {
				t.Errorf("key %s is not in the file init makes", key)
			}
		}
	}
}

func TestInitName(t *testing.T) {
	for name, ok := range map[string]bool{`Lab "3" \o/ #1: ü`: true, "tab\t": false, " ": false, "\xff": false, strings.Repeat("x", 65): false} {
		dir := filepath.Join(t.TempDir(), "lab")
		err := Init(dir, name)
		if (err == nil) != ok {
			t.Errorf("Init with name %q: %v", name, err)
		}
		if !ok {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("a directory was made for name %q", name)
			}
			continue
		}
		if s, problems := Load(dir); len(problems) > 0 || s.Name != name {
			t.Errorf("name %q: %v", name, problems)
		}
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	for _, file := range []string{"boottorrent.yaml", "boottorrent.pub", "boottorrent.key", ".gitignore", "oss/README", "Boottorrent.yaml"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, file), []byte("mine"))
		err := Init(dir, "")
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("with %s there: %v", file, err)
		}
		if body, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(body) != "mine" {
			t.Errorf("%s is now %q, %v", file, body, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("with %s there, the directory has %v, %v", file, entries, err)
		}
	}
}

func TestInitKeepsSystems(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, SystemsDir, "one"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, ""); err != nil {
		t.Errorf("a directory with oss/ only: %v", err)
	}
}

func TestKeys(t *testing.T) {
	dir := initSite(t, "")
	info, err := os.Stat(filepath.Join(dir, SecretKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret key: %v, %v; want mode 0600", info.Mode(), err)
	}
	s := &Site{Dir: dir}
	public, err := s.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.SecretKey()
	if err != nil {
		t.Fatal(err)
	}
	if !minisign.Verify(public, []byte("x"), minisign.Sign(secret, []byte("x"))) {
		t.Error("the keys don't belong together")
	}

	write(t, filepath.Join(dir, SecretKeyFile), lock(t, secret))
	if _, err := s.SecretKey(); err == nil || !strings.Contains(err.Error(), "seeder key "+dir) {
		t.Errorf("key with a password: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SecretKey(); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("no key: %v", err)
	}
}

// lock marks a key as protected by a password. To really encrypt it would take seconds: that is what scrypt is for.
func lock(t *testing.T, key minisign.PrivateKey) []byte {
	t.Helper()
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	comment, encoded, _ := strings.Cut(string(text), "\n")
	body, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		t.Fatal(err)
	}
	// Signature algorithm, then that of the key derivation: minisign(1), "Secret key format".
	copy(body[2:], "Sc")
	return []byte(comment + "\n" + base64.StdEncoding.EncodeToString(body) + "\n")
}

// TestMinisign lets the minisign tool sign with the keys that Init makes, and verify.
func TestMinisign(t *testing.T) {
	tool := need.Command(t, "minisign", "minisign")
	dir := initSite(t, "")
	write(t, filepath.Join(dir, "document"), []byte("text"))
	for _, args := range [][]string{
		{"-S", "-s", SecretKeyFile, "-m", "document"},
		{"-V", "-p", PublicKeyFile, "-m", "document"},
	} {
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("minisign %v: %v\n%s", args, err, out)
		}
	}
}

// TestReadmeExample follows oss/README to the letter, with a kernel and an initrd that nobody here made.
func TestReadmeExample(t *testing.T) {
	const installer = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/"
	dir := initSite(t, "")
	readme, err := os.ReadFile(filepath.Join(dir, SystemsDir, "README"))
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{} // by the file that each begins with
	name := ""
	for line := range strings.Lines(string(readme)) {
		text, indented := strings.CutPrefix(line, "    ")
		if file, ok := strings.CutPrefix(text, "# oss/"); ok {
			name = "oss/" + strings.TrimSpace(file)
		}
		if indented {
			examples[name] += text
		}
	}
	for file, text := range examples {
		write(t, filepath.Join(dir, file), []byte(text))
	}
	write(t, filepath.Join(dir, "oss/benchmark/benchmark"), elfHeader("amd64"))
	write(t, filepath.Join(dir, "oss/rescue/disc.iso"), []byte("disc"))
	for _, name := range []string{"linux", "initrd.gz"} {
		body, err := os.ReadFile(need.File(t, installer+name, "debian-installer-12-netboot-amd64"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "oss/debian", name), body)
	}
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	bench := System{
		Name: "benchmark", Dir: filepath.Join(dir, "oss/benchmark"), Title: "Benchmark", Arch: "amd64", Files: []string{"benchmark"},
		Launch: catalog.Launch{Method: "bin", After: "menu", Bin: &catalog.Bin{Program: "benchmark", Args: []string{"--rounds", "3", "a b"}}},
	}
	rescue := System{
		Name: "rescue", Dir: filepath.Join(dir, "oss/rescue"), Title: "Rescue disc", Arch: "amd64", Files: []string{"disc.iso"},
		Launch: catalog.Launch{Method: "qemu", After: "menu", QEMU: &catalog.QEMU{Runtime: ".qemu", Display: "screen", Args: []string{"-cdrom", "disc.iso"}}},
	}
	debian := System{
		Name: "debian", Dir: filepath.Join(dir, "oss/debian"), Title: "Debian 12 installer", Arch: "amd64", Files: []string{"linux", "initrd.gz"},
		Launch: catalog.Launch{Method: "kexec", Kexec: &catalog.Kexec{Kernel: "linux", Initrd: []string{"initrd.gz"}, Cmdline: "hostname={{.Hostname}}"}},
	}
	// Who signed Debian's kernel is of the package that is installed, whose it is not.
	kernel := s.Systems[1].Launch.Kexec
	if signed := kernel.Signed; signed == nil || len(signed.By) != 1 || signed.By[0].Issuer != "Debian Secure Boot CA" || signed.By[0].Broken != "" ||
		!slices.Contains(signed.By[0].Keys, "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1") {
		t.Errorf("Debian's kernel is signed %+v", kernel.Signed)
	}
	kernel.Signed = nil
	if want := []System{bench, debian, rescue}; !reflect.DeepEqual(s.Systems, want) || len(s.Warnings) > 0 {
		t.Errorf("got %+v, warnings %v\nwant %+v", s.Systems, s.Warnings, want)
	}
	// Two come from elsewhere; of the one that is a whole system nothing more is known yet.
	if len(s.Absent) != 2 || s.Absent[0].Name != "archived" || s.Absent[0].Missing[0].URL.Scheme != "oci" ||
		s.Absent[1].Title != "The vendor's disc" || !slices.Equal(s.Absent[1].Files, []string{"disc.iso"}) || s.Absent[1].Missing[0].URL.Host != "vendor.example" {
		t.Errorf("from elsewhere: %+v", s.Absent)
	}
}
