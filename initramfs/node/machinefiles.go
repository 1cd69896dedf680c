package node

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// The site's files for this machine (package machinefiles) are fetched when a system that gets them is, or ahead, verified by the catalog, and
// laid over the system when it starts.

// archives keeps those that were fetched and verified, by their SHA-256.
type archives struct {
	mu  sync.Mutex
	got map[string][]byte
}

// fetch returns the archives that a catalog lists, and fetches those that are not here. It forgets all others.
func (a *archives) fetch(ctx context.Context, from *seeders.Seeders, files []catalog.Files) (map[string][]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[string][]byte{}
	for _, f := range files {
		archive, ok := a.got[f.SHA256]
		if !ok {
			err := from.Insist(ctx, func(ctx context.Context, c *client.Client) (err error) {
				if archive, err = c.MachineFiles(ctx, f); err == nil {
					_, err = machinefiles.Verify(f, archive)
					err = client.Verified(err)
				}
				return err
			})
			if err != nil {
				return nil, stale(err)
			}
		}
		wanted[f.SHA256] = archive
	}
	a.got = wanted
	return maps.Clone(wanted), nil
}

// filesFor are the files that a catalog has for this machine, in the order in which they are laid over one another.
func (n *Node) filesFor(cat *catalog.Catalog) []catalog.Files {
	d := rules.For(cat, n.ruleFacts())
	return d.Files(cat)
}

// getsFiles reports whether a system gets files for machines.
func getsFiles(sys catalog.System) bool {
	return sys.Launch.Method == catalog.MethodKexec || sys.Launch.Method == catalog.MethodRoot
}

// machineArchives are the archives for this machine.
func (n *Node) machineArchives(ctx context.Context) (map[string][]byte, error) {
	return n.download.archives.fetch(ctx, n.session.Seeders, n.filesFor(n.session.catalog))
}

// machineFiles are this machine's files for a system, laid over one another, with their placeholders filled in; nil: there are none.
func (n *Node) machineFiles(ctx context.Context, sys catalog.System, vars map[string]string) (*machinefiles.Tree, error) {
	files := n.filesFor(n.session.catalog)
	if len(files) == 0 || !getsFiles(sys) {
		return nil, nil
	}
	archives, err := n.machineArchives(ctx)
	if err != nil {
		return nil, err
	}
	var trees []*machinefiles.Tree
	var names []string
	for _, f := range files {
		tree, err := machinefiles.Verify(f, archives[f.SHA256])
		if err != nil {
			return nil, err
		}
		trees, names = append(trees, tree), append(names, f.For)
	}
	laid, err := machinefiles.Lay(trees...).Expand(vars)
	if err != nil {
		return nil, fmt.Errorf("the files for this machine: %w", err)
	}
	n.Log("%s gets the files for %s: %d files, folders and links", sys.Title, strings.Join(names, ", "), laid.Len())
	return laid, nil
}

// machineFilesSize is how many bytes the archives for this machine have.
func (n *Node) machineFilesSize() (sum int64) {
	for _, f := range n.filesFor(n.session.catalog) {
		sum += f.Size
	}
	return sum
}

// How often the files are in memory when a system is loaded: as fetched, filled in, and in the system; by kexec as the archive, joined to its
// initrds, and twice in the kernel.
const (
	filesInRoot  = 3
	filesInKexec = 6
)

// withFiles is a method that takes memory for this machine's files as well.
func (n *Node) withFiles(method launch.Method, sys catalog.System) launch.Method {
	size := n.machineFilesSize()
	if size == 0 || !getsFiles(sys) {
		return method
	}
	times := int64(filesInRoot)
	if sys.Launch.Method == catalog.MethodKexec {
		times = filesInKexec
	}
	return launch.Keeping{Method: method, Beside: launch.Part{What: "this machine's files", Bytes: times * size}}
}
