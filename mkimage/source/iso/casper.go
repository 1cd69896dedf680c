package iso

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// casper is the layout of Ubuntu: /casper has filesystem.squashfs, or layers. Which of them is the live system the command line says
// (layerfs-path=), or a file in the initrd, conf/conf.d/default-layer.conf. Its name has those of all layers below it:
// minimal.standard.live.squashfs stands on minimal.standard.squashfs, and that on minimal.squashfs.
func (i *image) casper(ctx context.Context, all []entry) (*layout, error) {
	entries := startedBy(all, "boot=casper")
	if len(entries) == 0 {
		entries = slices.Clone(all) // newer ones leave boot=casper to the initrd
		slices.SortStableFunc(entries, func(a, b entry) int {
			switch {
			case a.Default == b.Default:
				return 0
			case a.Default:
				return -1
			}
			return 1
		})
	}
	dir := cleanPath(value(entries, "live-media-path"), "casper")
	found, err := i.glob(dir + "/*.squashfs")
	if err != nil || len(found) == 0 {
		return nil, err
	}
	l := &layout{
		name: "Ubuntu", entries: entries, kernels: []string{dir + "/vmlinuz*"}, needs: []string{"boot=casper"},
		why: "Of the ISO's command line, what is not for the ISO's own initramfs. That would also make the live system's user and log it in, which nothing " +
			"does here: log in as a user that the images have, or put a layer with yours above them, last in root.",
	}
	top, err := i.casperTop(ctx, entries, dir, found)
	if err != nil {
		return nil, err
	}
	if isInstaller(top) {
		return nil, nil
	}
	l.images = layersOf(dir, top)
	return l, i.checkImages(l)
}

// layersOf are the layers that one stands on, lowest first, and itself.
func layersOf(dir, top string) (list []string) {
	parts := strings.Split(strings.TrimSuffix(top, ".squashfs"), ".")
	for n := range parts {
		list = append(list, path.Join(dir, strings.Join(parts[:n+1], ".")+".squashfs"))
	}
	return list
}

// isInstaller tells the layers of Ubuntu server's ISO: they have no system but the installer, which needs the ISO.
func isInstaller(top string) bool {
	return slices.Contains(strings.Split(top, "."), "installer")
}

// casperTop finds the uppermost layer of the live system.
func (i *image) casperTop(ctx context.Context, entries []entry, dir string, found []string) (string, error) {
	if top := value(entries, "layerfs-path"); top != "" {
		return path.Base(top), nil
	}
	var names []string
	for _, f := range found {
		names = append(names, path.Base(f))
	}
	if len(entries) > 0 {
		top, err := i.defaultLayer(ctx, entries[0].Initrd)
		if top != "" || err != nil {
			return top, err
		}
	}
	switch {
	case slices.ContainsFunc(names, isInstaller):
		return names[slices.IndexFunc(names, isInstaller)], nil
	case slices.Contains(names, "filesystem.squashfs"):
		return "filesystem.squashfs", nil
	case len(names) == 1:
		return names[0], nil
	}
	live := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, ".live.squashfs") })
	if len(live) == 1 {
		return live[0], nil
	}
	if top := i.defaultSource(dir); top != "" {
		return top, nil
	}
	return "", fmt.Errorf("the ISO has several root file systems, and nothing says which is the live one: %s; "+
		"take one out of it (xorriso -osirrox on -indev FILE -extract %s/NAME NAME) and import that", strings.Join(names, ", "), dir)
}

// defaultSource is the image that the installer installs unless somebody chooses another (install-sources.yaml); empty: none.
func (i *image) defaultSource(dir string) string {
	b, err := i.small(dir + "/install-sources.yaml")
	if err != nil {
		return ""
	}
	type item struct {
		Default bool   `yaml:"default"`
		Path    string `yaml:"path"`
	}
	var list []item
	if yaml.Unmarshal(b, &list) != nil {
		var document struct {
			Sources []item `yaml:"sources"`
		}
		if yaml.Unmarshal(b, &document) != nil {
			return ""
		}
		list = document.Sources
	}
	for _, s := range list {
		if s.Default && s.Path != "" && i.isFile(path.Join(dir, path.Base(s.Path))) {
			return path.Base(s.Path)
		}
	}
	return ""
}
