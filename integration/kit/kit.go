// Package kit prepares what a room boots: it compiles the two host commands and makes sites with their commands, as an
// operator would. The room tests and the demonstration share it.
package kit

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// module is what the host commands are built from.
const module = "github.com/boottorrent/boottorrent/"

// debianInstaller is where the package debian-installer-12-netboot-amd64 puts kernel and initrd.
const debianInstaller = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"

// DebianInstallerPackage is the Debian package that AddDebian takes its system from.
const DebianInstallerPackage = "debian-installer-12-netboot-amd64"

// Kit is the compiled host commands.
type Kit struct {
	Seeder, Mkimage string
	// ImageOptions are options of mkimage for all images and media.
	ImageOptions []string
	// Output takes what the commands print.
	Output io.Writer
}

// Build compiles the host commands into dir. It must run inside the source tree.
func Build(ctx context.Context, dir string, output io.Writer) (*Kit, error) {
	k := &Kit{Seeder: filepath.Join(dir, "seeder"), Mkimage: filepath.Join(dir, "mkimage"), Output: output}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return k, k.run(ctx, "go", "build", "-trimpath", "-o", dir+"/", module+"seeder", module+"mkimage")
}

func (k *Kit) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = k.Output, k.Output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, args, err)
	}
	return nil
}

// NewSite makes a site directory with `seeder init`.
func (k *Kit) NewSite(ctx context.Context, dir, name string) (*Site, error) {
	if err := k.run(ctx, k.Seeder, "init", dir, "--name", name); err != nil {
		return nil, err
	}
	return &Site{Dir: dir, Kit: k}, nil
}
