package bootmenu

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// blsFolder has a file for each entry (Boot Loader Specification, Type #1).
const blsFolder = "loader/entries"

// readBLS reads the entries in a folder. Which is the default stands in loader.conf beside it, as for systemd-boot.
func readBLS(_ context.Context, f *files, folder string) ([]Entry, error) {
	names, err := fs.Glob(f.fsys, path.Join(folder, "*.conf"))
	if err != nil {
		return nil, err
	}
	def := "*"
	if text, err := f.file(path.Join(path.Dir(folder), "loader.conf")); err == nil {
		if v := blsValues(text)["default"]; len(v) > 0 {
			def = v[0]
		}
	}
	if f.disk {
		slices.SortStableFunc(names, func(a, b string) int { return compareVersions(b, a) }) // the newest first
	}
	var entries []Entry
	chosen := false
	for _, name := range names[:min(len(names), maxEntries)] {
		text, err := f.file(name)
		if err != nil {
			return entries, err
		}
		e := blsEntry(text, path.Dir(path.Dir(folder)))
		e.id = strings.TrimSuffix(path.Base(name), ".conf")
		if ok, err := path.Match(strings.TrimSuffix(def, ".conf"), strings.TrimSuffix(path.Base(name), ".conf")); ok && err == nil && !chosen && e.Kernel != "" {
			e.Default, chosen = true, true
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func blsEntry(text, root string) Entry {
	v := blsValues(text)
	e := Entry{Title: strings.Join(slices.Concat(v["title"], v["version"]), " "), Cmdline: strings.Join(v["options"], " ")}
	for _, k := range v["linux"] {
		e.Kernel = inMedium(path.Join("/", root, k), "")
	}
	for _, i := range v["initrd"] {
		for name := range strings.FieldsSeq(i) {
			if !strings.Contains(name, "$") { // of GRUB's environment
				e.Initrd = append(e.Initrd, inMedium(path.Join("/", root, name), ""))
			}
		}
	}
	return e
}

// blsValues are the values of each key, in order.
func blsValues(text string) map[string][]string {
	values := map[string][]string{}
	for line := range strings.Lines(text) {
		key, value := cutWord(line)
		if key != "" && key[0] != '#' && value != "" {
			values[key] = append(values[key], value)
		}
	}
	return values
}
