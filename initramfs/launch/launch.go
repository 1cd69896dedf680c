// Package launch starts a downloaded system.
//
// In goes a [Job]: a system of the catalog and the folder with its verified files. Each method of starting is one file
// behind the [Method] interface; [For] finds the one a system asks for. Before a download, [Preflight] says whether
// memory can hold it; [Method.Load] does everything that can fail; [Method.Start] is the point of no return.
package launch

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Job is one system about to be started.
type Job struct {
	System catalog.System
	// Dir is the folder with the system's files, below their paths in the catalog. Load may make files in it longer:
	// what the catalog lists of them stays as it is.
	Dir string
	// Vars are the values of the placeholders in the command line, see catalog.Expand.
	Vars map[string]string
	// Log takes messages for the node's log; nil for none.
	Log func(format string, args ...any)
}

func (j Job) logf(format string, args ...any) {
	if j.Log != nil {
		j.Log(format, args...)
	}
}

// path returns where a file of the system lies.
func (j Job) path(file string) (string, error) {
	local := filepath.FromSlash(file)
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("start %s: the path %q leaves the system's folder", j.System.Name, file)
	}
	return filepath.Join(j.Dir, local), nil
}

// Method is a way of starting systems.
type Method interface {
	// Need says what starting the system takes in memory beside its files.
	Need(sys catalog.System) Memory
	// Load prepares the start: everything that can fail. It may be called again after a failure, and for another system.
	Load(ctx context.Context, job Job) error
	// Start starts what was loaded. It returns only on failure.
	Start(ctx context.Context, job Job) error
}

// For returns the method a system asks for.
func For(sys catalog.System) (Method, error) {
	switch sys.Launch.Method {
	case catalog.MethodKexec:
		if sys.Launch.Kexec == nil {
			return nil, fmt.Errorf("system %s: the catalog says method kexec, but not which kernel", sys.Name)
		}
		return newKexec(), nil
	}
	return nil, fmt.Errorf("system %s: its method %q is not known to this node's image, which is older than the site: "+
		"build the image again with mkimage and restart the node", sys.Name, sys.Launch.Method)
}
