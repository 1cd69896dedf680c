package qemuargs

import (
	"encoding/json"
	"slices"
	"strings"
)

// File is a file that a command line names.
type File struct {
	// Option says where, for people: "-drive file".
	Option string
	// Name is empty where an option that wants a file has none.
	Name string
	// Image says that it may be a disk image, which may name other files itself.
	Image bool
	// Folder says that it is a folder.
	Folder bool
	// Builtin says that QEMU may have a file of that name itself.
	Builtin bool
}

// wholeFiles are the options whose value is a file's name as it stands, commas and all.
var wholeFiles = map[string]File{
	"cdrom": {Image: true}, "fda": {Image: true}, "fdb": {Image: true}, "hda": {Image: true}, "hdb": {Image: true}, "hdc": {Image: true},
	"hdd": {Image: true}, "pflash": {Image: true}, "mtdblock": {Image: true}, "sd": {Image: true},
	"kernel": {}, "dtb": {}, "bios": {Builtin: true},
}

// fileKeys are the keys of other options whose value is a file. An empty key is the first element, without a key.
var fileKeys = map[string]map[string]File{
	"drive":      {"file": {Image: true}, "file.filename": {Image: true}, "backing.file.filename": {Image: true}},
	"blockdev":   {"filename": {Image: true}, "file.filename": {Image: true}, "backing.file.filename": {Image: true}},
	"smbios":     {"file": {}},
	"fw_cfg":     {"file": {}},
	"option-rom": {"": {Builtin: true}, "romfile": {Builtin: true}},
	"device":     {"romfile": {Builtin: true}, "file": {}},
	"boot":       {"splash": {}},
	"plugin":     {"file": {}},
	"virtfs":     {"path": {Folder: true}},
	"fsdev":      {"path": {Folder: true}},
	"netdev":     {"tftp": {Folder: true}},
	"nic":        {"tftp": {Folder: true}},
	"net":        {"tftp": {Folder: true}},
}

// Files are the files that the options name, in their order.
func (opts Options) Files() []File {
	var files []File
	for _, o := range opts {
		files = append(files, o.files()...)
	}
	return files
}

func (o Option) files() []File {
	if o.Name == "" {
		return []File{{Option: "the disk image", Name: o.Value, Image: true}}
	}
	shown := "-" + o.Name
	if f, ok := wholeFiles[o.Name]; ok {
		f.Option, f.Name = shown, o.Value
		return []File{f}
	}
	switch {
	case o.Name == "initrd":
		return modules(shown, o.Value)
	case o.Name == "acpitable":
		return acpiTables(shown, o.Value)
	case o.Name == "blockdev" && strings.HasPrefix(o.Value, "{"):
		return named(shown, filenames(o.Value), File{Image: true})
	}
	var files []File
	for i, e := range Elements(o.Value) {
		key, name, hasKey := strings.Cut(e, "=")
		if !hasKey {
			if i > 0 {
				continue
			}
			key, name = "", e
		}
		f, ok := fileKeys[o.Name][key]
		if !ok || name == "" && key == "romfile" { // which means none
			continue
		}
		f.Option, f.Name = strings.TrimSpace(shown+" "+key), name
		files = append(files, f)
	}
	return files
}

// modules are the files of -initrd: one, or of a multiboot kernel several with arguments, between commas.
func modules(shown, value string) []File {
	var names []string
	for _, e := range Elements(value) {
		name, _, _ := strings.Cut(e, " ")
		names = append(names, name)
	}
	return named(shown, names, File{})
}

// acpiTables are the files of -acpitable: several between colons.
func acpiTables(shown, value string) []File {
	var names []string
	for _, key := range []string{"file", "data"} {
		if v, ok := Property(value, key); ok {
			names = append(names, strings.Split(v, ":")...)
		}
	}
	return named(shown, names, File{})
}

func named(option string, names []string, like File) []File {
	var files []File
	for _, name := range names {
		like.Option, like.Name = option, name
		files = append(files, like)
	}
	return files
}

// filenames are the values of all keys named filename in a JSON text, at any depth, also behind dots.
func filenames(text string) []string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	var names []string
	var walk func(any)
	walk = func(v any) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		for key, inner := range object {
			if name, ok := inner.(string); ok && (key == "filename" || strings.HasSuffix(key, ".filename")) {
				names = append(names, name)
			}
			walk(inner)
		}
	}
	walk(value)
	slices.Sort(names)
	return names
}

// Local resolves the name of a disk image as QEMU's block layer does (path_has_protocol and bdrv_fill_options in block.c): which
// files of the working directory it stands for, and none for what comes from elsewhere (nbd:, http:).
func Local(name string) []string {
	if text, ok := strings.CutPrefix(name, "json:"); ok {
		var files []string
		for _, f := range filenames(text) {
			files = append(files, Local(f)...)
		}
		return files
	}
	protocol, rest, found := strings.Cut(name, ":")
	switch {
	case !found || strings.Contains(protocol, "/"):
		return []string{name}
	case protocol == "file":
		return []string{rest}
	}
	return nil
}
