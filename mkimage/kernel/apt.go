package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// instead is what to do where apt can't help.
const instead = "give a kernel with --kernel FILE --modules DIR"

// aptPackage is one version of a package.
type aptPackage struct{ name, version string }

// newest asks apt which package the distribution's kernel is in now: the one that linux-image-amd64 depends on.
func newest(ctx context.Context) (aptPackage, error) {
	for _, tool := range []string{"apt-cache", "apt-get", "dpkg", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return aptPackage{}, fmt.Errorf("the distribution's kernel is taken by apt, but %s is not here; %s", tool, instead)
		}
	}
	out, err := run(ctx, "", "dpkg", "--print-architecture")
	if err != nil {
		return aptPackage{}, err
	}
	arch := strings.TrimSpace(out)
	if arch != "amd64" {
		return aptPackage{}, fmt.Errorf("this distribution is for %s, but nodes need an amd64 kernel; %s", arch, instead)
	}
	meta := "linux-image-" + arch
	out, err = run(ctx, "", "apt-cache", "show", "--no-all-versions", meta)
	if err != nil && ctx.Err() == nil {
		return aptPackage{}, fmt.Errorf("apt does not know the package %s (%w); run apt-get update as root, or %s", meta, err, instead)
	}
	if err != nil {
		return aptPackage{}, err
	}
	return parseMeta(meta, out)
}

// dependency matches the first alternative of a Depends field that is a versioned kernel package,
// "linux-image-6.1.0-37-amd64 (= 6.1.140-1)" (Debian Policy, 7.1).
var dependency = regexp.MustCompile(`^(linux-image-[0-9][A-Za-z0-9.+-]*) \(= ([A-Za-z0-9.+:~-]+)\)$`)

// parseMeta finds the kernel's package in what apt-cache show prints of the package meta.
func parseMeta(meta, show string) (aptPackage, error) {
	for line := range strings.Lines(show) {
		field, value, _ := strings.Cut(line, ":")
		if field != "Depends" {
			continue
		}
		for d := range strings.SplitSeq(value, ",") {
			if m := dependency.FindStringSubmatch(strings.TrimSpace(d)); m != nil {
				return aptPackage{name: m[1], version: m[2]}, nil
			}
		}
	}
	return aptPackage{}, fmt.Errorf("the package %s depends on no linux-image-VERSION; %s", meta, instead)
}

// download downloads p into dir and returns the file's path.
func (p aptPackage) download(ctx context.Context, dir string) (string, error) {
	args := []string{"-q", "download", p.name + "=" + p.version}
	if os.Geteuid() == 0 {
		// apt would drop to a user that can't write to dir, and complain.
		args = append([]string{"-o", "APT::Sandbox::User=root"}, args...)
	}
	if _, err := run(ctx, dir, "apt-get", args...); err != nil {
		return "", fmt.Errorf("download the kernel's package: %w; run apt-get update as root and try again, or %s", err, instead)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("download the kernel's package: apt-get download %s left %d files; %s", p.name, len(debs), instead)
	}
	return debs[0], nil
}

// run runs a program in dir and returns what it printed. The error has the last line of its complaints.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s %s: %w", name, args[0], ctx.Err())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		lines := bytes.Split(bytes.TrimSpace(exit.Stderr), []byte("\n"))
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return "", fmt.Errorf("%s: %w", name, err)
}
