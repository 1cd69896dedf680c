package debian

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
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
)

// listsAge is how old apt's lists of another architecture get before they are fetched anew.
const listsAge = 24 * time.Hour

// version is one version of a package.
type version struct{ name, version string }

// apt asks apt about the packages of one architecture.
type apt struct {
	archive Archive
	// options come before the arguments of apt-get and apt-cache.
	options []string
	// foreign: apt's lists are ours, in the folder state. fresh: they were fetched by this process.
	foreign, fresh bool
	state          string
	// refused is why not all lists could be fetched.
	refused error
}

// hooks is a configuration file that takes away what the machine's own has programs for that are to be run after an update (apt.conf(5)): they
// would look at lists that aren't the machine's.
const hooks = "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"

func (a Archive) apt(ctx context.Context, w Wanted) (*apt, error) {
	for _, tool := range []string{"apt-cache", "apt-get", "dpkg", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("the package %s is taken by apt, but %s is not here; %s", w.Name, tool, w.Instead)
		}
	}
	own, err := run(ctx, "", "dpkg", "--print-architecture")
	if err != nil {
		return nil, err
	}
	t := &apt{archive: a, foreign: strings.TrimSpace(own) != a.Arch.Debian()}
	if os.Geteuid() == 0 {
		// apt would drop to a user that can't write into the cache, and complain.
		t.options = []string{"-o", "APT::Sandbox::User=root"}
	}
	if !t.foreign {
		return t, nil
	}
	return t, t.ownState()
}

// ownState gives apt folders of its own and another architecture. The sources and the keys that they are verified with stay the machine's.
func (t *apt) ownState() error {
	t.state = filepath.Join(t.archive.dir(), "apt")
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(t.state, dir), 0o755); err != nil {
			return fmt.Errorf("make the cache: %w; give another with --cache DIR", err)
		}
	}
	files := map[string]string{"status": "", "apt.conf": hooks} // no package is installed
	for name, content := range files {
		if err := atomicfile.Write(filepath.Join(t.state, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("make the cache: %w; give another with --cache DIR", err)
		}
	}
	t.options = append(t.options, "-c", filepath.Join(t.state, "apt.conf"))
	for _, o := range []string{
		"APT::Architecture=" + t.archive.Arch.Debian(), "APT::Architectures=" + t.archive.Arch.Debian(),
		"Dir::State::Lists=" + filepath.Join(t.state, "lists"), "Dir::State::status=" + filepath.Join(t.state, "status"),
		"Dir::Cache=" + filepath.Join(t.state, "cache"), "Acquire::Languages=none",
	} {
		t.options = append(t.options, "-o", o)
	}
	return nil
}

// run runs one of apt's programs in dir.
func (t *apt) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	return run(ctx, dir, name, append(t.options[:len(t.options):len(t.options)], args...)...)
}

// stamp is the file whose time is that of the lists.
func (t *apt) stamp() string { return filepath.Join(t.state, "updated") }

// update fetches the lists. That some source can't be had is only told if a package is missing then: of another architecture than
// the machine's, many sources have nothing.
func (t *apt) update(ctx context.Context) error {
	t.archive.Log.Info("fetch the distribution's list of packages", "architecture", string(t.archive.Arch))
	_, t.refused = t.run(ctx, "", "apt-get", "-q", "update")
	if ctx.Err() != nil {
		return t.refused
	}
	t.fresh = true
	return atomicfile.Write(t.stamp(), nil, 0o644)
}

// old reports whether the lists are ours, and of an earlier run.
func (t *apt) old() bool { return t.foreign && !t.fresh }

// find finds the newest version of what is wanted.
func (t *apt) find(ctx context.Context, w Wanted) (version, error) {
	if info, err := os.Stat(t.stamp()); t.old() && (err != nil || time.Since(info.ModTime()).Abs() > listsAge) {
		if err := t.update(ctx); err != nil {
			return version{}, err
		}
	}
	show, err := t.show(ctx, w)
	if err != nil {
		return version{}, err
	}
	return parse(w, show)
}

// show is what apt knows of a package: paragraphs of control fields (Debian Policy, 5.1).
func (t *apt) show(ctx context.Context, w Wanted) (string, error) {
	out, err := t.run(ctx, "", "apt-cache", "show", "--no-all-versions", w.Name)
	switch {
	case err == nil || ctx.Err() != nil:
		return out, err
	case !t.foreign:
		return "", fmt.Errorf("apt does not know the package %s (%w); run apt-get update as root, or %s", w.Name, err, w.Instead)
	case t.refused != nil:
		return "", fmt.Errorf("apt does not know the package %s for %s, and not all of its lists could be fetched (%w); "+
			"see that this machine reaches what its sources name (/etc/apt/sources.list, sources.list.d), and that they have packages for %s, or %s",
			w.Name, t.archive.Arch, t.refused, t.archive.Arch, w.Instead)
	}
	return "", fmt.Errorf("apt does not know the package %s for %s (%w); add a source that has packages for %s to /etc/apt/sources.list.d "+
		"(and let no option arch= or Architectures: exclude them), or %s", w.Name, t.archive.Arch, err, t.archive.Arch, w.Instead)
}

var (
	// relation matches a dependency on one version of a package, "linux-image-6.1.0-37-amd64 (= 6.1.140-1)" (Debian Policy, 7.1).
	relation = regexp.MustCompile(`^(` + namePattern + `) \(= (` + versionPattern + `)\)$`)
	// versionField matches a whole version (Debian Policy, 5.6.12).
	versionField = regexp.MustCompile(`^` + versionPattern + `$`)
)

const (
	namePattern    = `[a-z0-9][a-z0-9.+-]*`
	versionPattern = `[A-Za-z0-9.+:~-]+`
)

// parse finds what is wanted in what apt shows of the package w.Name.
func parse(w Wanted, show string) (version, error) {
	for line := range strings.Lines(show) {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case field == "Version" && w.Dependency == nil && versionField.MatchString(value):
			return version{w.Name, value}, nil
		case field != "Depends" || w.Dependency == nil:
			continue
		}
		for d := range strings.SplitSeq(value, ",") {
			if m := relation.FindStringSubmatch(strings.TrimSpace(d)); m != nil && w.Dependency.MatchString(m[1]) {
				return version{name: m[1], version: m[2]}, nil
			}
		}
	}
	if w.Dependency == nil {
		return version{}, fmt.Errorf("apt shows no version of the package %s; %s", w.Name, w.Instead)
	}
	return version{}, fmt.Errorf("the package %s depends on no package that matches %s; %s", w.Name, w.Dependency, w.Instead)
}

// download downloads v into dir and returns the file's path.
func (t *apt) download(ctx context.Context, v version, w Wanted, dir string) (string, error) {
	if _, err := t.run(ctx, dir, "apt-get", "-q", "download", v.name+"="+v.version); err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		if t.foreign {
			return "", fmt.Errorf("download the package %s: %w; see that this machine reaches its archive and try again, or %s", v.name, err, w.Instead)
		}
		return "", fmt.Errorf("download the package %s: %w; run apt-get update as root and try again, or %s", v.name, err, w.Instead)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("download the package %s: apt-get download left %d files; %s", v.name, len(debs), w.Instead)
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
		return "", fmt.Errorf("%s: %w", name, ctx.Err())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		lines := bytes.Split(bytes.TrimSpace(exit.Stderr), []byte("\n"))
		return "", fmt.Errorf("%s: %w: %s", name, err, lines[len(lines)-1])
	}
	return "", fmt.Errorf("%s: %w", name, err)
}
