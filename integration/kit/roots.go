package kit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// Roots are root file systems made of Debian's packages, as files in the user's cache: read only. Package mmdebstrap makes them.
type Roots struct {
	// Debian is an image (squashfs) of some 115 MiB: systemd, two kernels, DHCP, a login on ttyS0 (root, password root). LiveInitrd is
	// the initrd of its first kernel, with live-boot in it.
	Debian, LiveInitrd string
	// Busybox and OpenRC are archives (tar) of 2 and 18 MiB, without a kernel; roots.sh says what their init says. Busybox says as its
	// name what is in /etc/root-name, which is not there.
	Busybox, OpenRC string
}

//go:embed roots.sh
var makeRoots []byte

// unused is how long roots that were made by another version of roots.sh are kept.
const unused = 30 * 24 * time.Hour

// MakeRoots returns the roots. It makes them with apt where roots.sh has not done so yet, which takes some minutes; two processes that
// want them at once make them once. Which kernels they have is as old as that: see [Site.MakeImageFor].
func MakeRoots(ctx context.Context, output io.Writer) (*Roots, error) {
	cache, err := image.DefaultCache()
	if err != nil {
		return nil, err
	}
	all := filepath.Join(cache, "roots")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return nil, err
	}
	lock, err := lab.LockFile(filepath.Join(all, "lock"))
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	sum := sha256.Sum256(makeRoots)
	dir := filepath.Join(all, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := makeRootsIn(ctx, dir, output); err != nil {
			return nil, fmt.Errorf("make root file systems of Debian's packages: %w", err)
		}
	}
	if err := removeUnused(all, dir); err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	return &Roots{Debian: path("debian.squashfs"), LiveInitrd: path("live.initrd"), Busybox: path("busybox.tar"), OpenRC: path("openrc.tar")}, nil
}

// makeRootsIn makes the folder dir, whole or not at all.
func makeRootsIn(ctx context.Context, dir string, output io.Writer) error {
	suite, sources, err := aptSources()
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	script := filepath.Join(temp, "roots.sh")
	if err := os.WriteFile(script, makeRoots, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "bash", append([]string{script, temp, suite}, sources...)...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return err
	}
	return os.Rename(temp, dir)
}

// codename is a release's name in os-release(5).
var codename = regexp.MustCompile(`(?m)^VERSION_CODENAME="?([a-z]+)"?$`)

// aptSources are this machine's release and the files in which apt has its sources.
func aptSources() (suite string, sources []string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", nil, err
	}
	match := codename.FindSubmatch(release)
	if match == nil {
		return "", nil, errors.New("/etc/os-release names no release of Debian (VERSION_CODENAME)")
	}
	suite = string(match[1])
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return "", nil, err
		}
		for _, file := range files {
			// Other files are of other people's packages.
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), suite) {
				sources = append(sources, file)
			}
		}
	}
	if len(sources) == 0 {
		return "", nil, fmt.Errorf("no file of sources.list(5) below /etc/apt is of %s", suite)
	}
	return suite, sources, nil
}

// removeUnused marks a folder as used, and removes its neighbours that were not for long, and what an interrupted process left.
func removeUnused(all, used string) error {
	now := time.Now()
	if err := os.Chtimes(used, now, now); err != nil {
		return err
	}
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		// The lock is held: nobody else makes any.
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") || now.Sub(info.ModTime()) > unused) {
			if err := os.RemoveAll(filepath.Join(all, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
