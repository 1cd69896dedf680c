package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// content is what is in the site's folder of keys, by name.
func content(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func mustMake(t *testing.T, dir string, replace bool) Made {
	t.Helper()
	made, err := Make(dir, `Room "12"`, replace, noon)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestMake(t *testing.T) {
	dir := t.TempDir()
	made := mustMake(t, dir, false)
	before := content(t, made.Folder)
	if len(made.Files) != len(before) || len(before) != 20 || made.Old != "" {
		t.Errorf("made %v, and there are %d files", made.Files, len(before))
	}
	for name := range before {
		info, err := os.Stat(filepath.Join(made.Folder, name))
		want := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			want = 0o600
		}
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v: %v", name, info.Mode(), want, err)
		}
	}
	if info, err := os.Stat(made.Folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v: %v", info.Mode(), err)
	}
	if readme := before["README.txt"]; !strings.Contains(readme, `BootTorrent db, Room "12"`) {
		t.Errorf("README.txt does not name the certificate:\n%.400s", readme)
	}

	// Run again it changes nothing; what was lost comes back with the same bytes, as long as the keys for it are there.
	if again := mustMake(t, dir, false); len(again.Files)+len(again.Lost) > 0 {
		t.Errorf("made again: %v", again)
	}
	for _, name := range []string{"db.auth", "PK.der", "KEK-append.auth"} {
		os.Remove(filepath.Join(made.Folder, name))
	}
	mended := mustMake(t, dir, false)
	if after := content(t, made.Folder); len(mended.Files) != 3 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v were made again, and not as they were", mended.Files)
	}
	os.Remove(filepath.Join(made.Folder, "PK.key"))
	os.Remove(filepath.Join(made.Folder, "PK.auth"))
	if mended = mustMake(t, dir, false); len(mended.Files) != 0 || len(mended.Lost) != 1 || mended.Lost[0] != "PK.auth" {
		t.Errorf("without PK's secret key: %+v", mended)
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("signing takes db's key alone: %v", err)
	}

	for range 2 {
		made = mustMake(t, dir, true)
	}
	if filepath.Base(made.Old) != "keys.old2" || content(t, filepath.Join(dir, "keys.old"))["db.key"] != before["db.key"] {
		t.Errorf("the old keys are not kept: %s", made.Old)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("something is left over: %v, %v", entries, err)
	}
}

// Git adds no secret key, neither of a site whose own .gitignore is older than such keys, nor of a folder that was left half-way.
func TestKeysStayOutOfGit(t *testing.T) {
	git := need.Command(t, "git", "git")
	dir := t.TempDir()
	made := mustMake(t, dir, false)
	mustMake(t, dir, true)
	half := filepath.Join(dir, ".keys-1")
	files, _, err := all("Room 12", noon)
	if err != nil || os.Mkdir(half, 0o700) != nil {
		t.Fatal(err)
	}
	if _, err := writeMissing(half, files[:2]); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		out, err := exec.Command(git, append([]string{"-C", dir}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("init", "-q")
	run("add", "-A")
	added := run("ls-files")
	if strings.Contains(added, ".key\n") || !strings.Contains(added, filepath.Base(made.Folder)+"/db.crt") {
		t.Errorf("git took:\n%s", added)
	}
}

// An empty folder is no reason to refuse; one with something else in it is, and nothing in it is changed.
func TestMakeWhereThereIsAFolder(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "keys")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if made := mustMake(t, dir, false); made.Old != "" || len(made.Files) != 20 {
		t.Errorf("into an empty folder: %+v", made)
	}
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
	foreign := t.TempDir()
	if err := os.Mkdir(filepath.Join(foreign, "keys"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "keys", "house.key"), []byte("of the front door"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(foreign, "Room 12", false, noon); err == nil || !strings.Contains(err.Error(), "PK.crt is missing") {
		t.Errorf("a folder with something else: %v", err)
	}
	if there := content(t, filepath.Join(foreign, "keys")); len(there) != 1 {
		t.Errorf("it has %v now", there)
	}
	file := t.TempDir()
	if err := os.WriteFile(filepath.Join(file, "keys"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(file, "Room 12", false, noon); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Make(filepath.Join(file, "none"), "Room 12", false, noon); err == nil {
		t.Error("a site that isn't there has keys")
	}
}

func TestLoadSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(folder string) error
		want  string
	}{
		"none":                    {func(f string) error { return os.RemoveAll(f) }, "mkimage keys"},
		"no secret key":           {func(f string) error { return os.Remove(filepath.Join(f, "db.key")) }, "which signs, is missing"},
		"no certificate":          {func(f string) error { return os.Remove(filepath.Join(f, "db.crt")) }, "restore it"},
		"a damaged key":           {func(f string) error { return os.WriteFile(filepath.Join(f, "db.key"), []byte("key"), 0o600) }, "restore it"},
		"a cut certificate":       {func(f string) error { return os.Truncate(filepath.Join(f, "db.crt"), 300) }, "restore it"},
		"a certificate for a key": {func(f string) error { return os.Rename(filepath.Join(f, "db.crt"), filepath.Join(f, "db.key")) }, "restore it"},
		"no RSA":                  {func(f string) error { return os.WriteFile(filepath.Join(f, "db.key"), ecKey(t), 0o600) }, "another kind than RSA"},
		"of another pair":         {func(f string) error { return os.Rename(filepath.Join(f, "PK.key"), filepath.Join(f, "db.key")) }, "don't belong together"},
	} {
		dir := t.TempDir()
		if err := c.spoil(mustMake(t, dir, false).Folder); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// efitools makes the same bytes of the same keys.
func TestLikeEFITools(t *testing.T) {
	tools := map[string]string{}
	for _, name := range []string{"cert-to-efi-sig-list", "sign-efi-sig-list"} {
		tools[name] = need.Command(t, name, "efitools")
	}
	folder := mustMake(t, t.TempDir(), false).Folder
	out := filepath.Join(t.TempDir(), "out")
	same := func(name, tool string, args ...string) {
		t.Helper()
		cmd := exec.Command(tools[tool], args...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "TZ=UTC")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", tool, err, said)
		}
		theirs, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if ours := content(t, folder)[name]; !bytes.Equal(theirs, []byte(ours)) {
			t.Errorf("%s: %s makes %d bytes, we %d", name, tool, len(theirs), len(ours))
		}
	}
	owner := []byte(content(t, folder)["db.esl"])[28:44]
	guid := fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(owner), binary.LittleEndian.Uint16(owner[4:]),
		binary.LittleEndian.Uint16(owner[6:]), owner[8:10], owner[10:])
	for _, role := range roles {
		same(role+".esl", "cert-to-efi-sig-list", "-g", guid, role+".crt", out)
	}
	sign := func(name, by, list string, more ...string) {
		t.Helper()
		date := "2026-03-04 12:00:00"
		if name == "PK-remove.auth" {
			date = "2026-03-04 12:00:01"
		}
		variable, _, _ := strings.Cut(strings.TrimSuffix(name, ".auth"), "-")
		same(name, "sign-efi-sig-list", append(more, "-t", date, "-c", by+".crt", "-k", by+".key", variable, list, out)...)
	}
	sign("PK.auth", "PK", "PK.esl")
	sign("KEK.auth", "PK", "KEK.esl")
	sign("db.auth", "KEK", "db.esl")
	sign("KEK-append.auth", "PK", "KEK.esl", "-a")
	sign("db-append.auth", "KEK", "db.esl", "-a")
	sign("PK-remove.auth", "PK", "/dev/null")
}

// ecKey is a secret key of another kind than firmware knows.
func ecKey(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM("PRIVATE KEY", der)
}
