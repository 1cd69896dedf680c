package drivers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/kmod"
)

// Keywords of a [Selection].
const (
	// Common are the Ethernet drivers of the computers, virtual machines and USB adapters that one meets.
	Common = "common"
	// All is every Ethernet driver of the kernel.
	All = "all"
	// Storage are the drivers of what phase 1 is started from where it does not come by network.
	Storage = "storage"
	// Root are what a system's root file system is mounted by, whichever kind of image it is.
	Root = "root"
)

// Selection names what is wanted: keywords, and modules by name. USB, keyboards, VLANs, and the file systems that cost little come
// with any of them.
type Selection []string

// ParseSelection reads a comma-separated list.
func ParseSelection(text string) (Selection, error) {
	var s Selection
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" || strings.ContainsAny(word, " /\t") {
			return nil, fmt.Errorf("%q is not a list of drivers: write common, all, or modules' names with commas between them", text)
		}
		s = append(s, word)
	}
	return s, nil
}

// String is the list again.
func (s Selection) String() string { return strings.Join(s, ",") }

// Set is what was selected.
type Set struct {
	// Version is the kernel's release.
	Version string
	// Modules are sorted by path.
	Modules []*Module
	// Builtin are names that were wanted and that the kernel has built in, with the path each would have; Absent are those
	// of Common which this kernel does not have.
	Builtin map[string]string
	Absent  []string
	// Firmware are the files found, sorted by path; MissingFirmware what modules ask for and was not found.
	Firmware        []Firmware
	MissingFirmware []MissingFirmware
	// WithoutFirmware are modules left out because all of their firmware is missing.
	WithoutFirmware []string

	tree *tree
}

// Select reads the modules in dir, a folder …/lib/modules/VERSION of a kernel for an architecture, and their firmware in firmwareDir,
// usually /lib/firmware, and returns what s asks for. An unknown name in s is an error.
func Select(dir, version string, a arch.Arch, s Selection, firmwareDir string) (*Set, error) {
	t, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	c := &selecting{tree: t, arch: a, firmwareDir: firmwareDir, chosen: map[string]*Module{},
		set: &Set{Version: version, Builtin: map[string]string{}, tree: t}}
	if err := c.addAllKnown(always[a]); err != nil {
		return nil, err
	}
	for _, word := range s {
		if err := c.addWord(word); err != nil {
			return nil, err
		}
	}
	return c.finish(), nil
}

// selecting is a selection in progress.
type selecting struct {
	tree        *tree
	arch        arch.Arch
	firmwareDir string
	chosen      map[string]*Module
	set         *Set
}

// lists are the keywords that stand for a list of modules, and which modules those are for each architecture.
var lists = map[string]map[arch.Arch][]string{
	Common:  {arch.AMD64: commonNetwork, arch.ARM64: commonNetworkARM64},
	Storage: {arch.AMD64: storage, arch.ARM64: storageARM64},
	Root:    {arch.AMD64: rootFileSystems, arch.ARM64: rootFileSystems},
}

// always are the modules of every image.
var always = map[arch.Arch][]string{arch.AMD64: basics, arch.ARM64: basicsARM64}

func (c *selecting) addWord(word string) error {
	if list, ok := lists[word]; ok {
		return c.addAllKnown(list[c.arch])
	}
	if word == All {
		return c.addAll()
	}
	if !c.tree.has(word) && !c.tree.isBuiltin(word) {
		hint := "ls " + c.tree.dir + "/kernel/drivers/net/ethernet shows what there is"
		if names := c.tree.similar(word); len(names) > 0 {
			hint = "is it one of " + strings.Join(names, ", ") + "?"
		}
		return fmt.Errorf("this kernel has no module %s; %s", word, hint)
	}
	return c.add(word)
}

func (c *selecting) addAll() error {
	names := slices.Clone(allNetworkModules)
	for _, dir := range allNetwork {
		names = append(names, c.tree.below(dir)...)
	}
	return c.addAllKnown(names)
}

func (c *selecting) addAllKnown(names []string) error {
	for _, name := range names {
		if err := c.addKnown(name); err != nil {
			return err
		}
	}
	return nil
}

// addKnown adds a module of our own lists, which another kernel may not have.
func (c *selecting) addKnown(name string) error {
	if !c.tree.has(name) && !c.tree.isBuiltin(name) {
		c.set.Absent = append(c.set.Absent, name)
		return nil
	}
	if needsFirmware[kmod.Normalize(name)] && c.tree.has(name) {
		m, err := c.tree.module(name)
		if err != nil {
			return err
		}
		if !hasAny(c.firmwareDir, m.Firmware) {
			c.set.WithoutFirmware = append(c.set.WithoutFirmware, m.Name)
			return nil
		}
	}
	return c.add(name)
}

// add adds a module and what it depends on.
func (c *selecting) add(name string) error {
	name = kmod.Normalize(name)
	if c.chosen[name] != nil {
		return nil
	}
	if path, ok := c.tree.builtin[name]; ok {
		c.set.Builtin[name] = path
		return nil
	}
	m, err := c.tree.module(name)
	if err != nil {
		return err
	}
	if err := c.checkVersion(m); err != nil {
		return err
	}
	c.chosen[name] = m
	for _, d := range m.Depends {
		if err := c.add(d); err != nil {
			return fmt.Errorf("%s needs %s: %w", name, d, err)
		}
	}
	for _, phy := range transceivers[name] {
		if c.tree.has(phy) && !slices.Contains(m.Pre, phy) {
			m.Pre = append(m.Pre, phy)
		}
	}
	// What a module would like to have may be an alias, such as "crc32c", or may not exist in this kernel at all.
	for _, d := range slices.Concat(m.Pre, m.Post) {
		if err := c.addSoft(d); err != nil {
			return err
		}
	}
	return nil
}

// checkVersion refuses a module that was built for another kernel than that of the folder it is in: it would not load.
func (c *selecting) checkVersion(m *Module) error {
	if m.Kernel == "" || m.Kernel == c.set.Version {
		return nil
	}
	return fmt.Errorf("the module %s/%s was built for kernel %s, not for %s; give a kernel and modules that were built together",
		c.tree.dir, m.Path, m.Kernel, c.set.Version)
}

// addSoft adds what a module would like to have, by name or by alias.
func (c *selecting) addSoft(name string) error {
	if c.tree.has(name) || c.tree.isBuiltin(name) {
		return c.add(name)
	}
	for _, module := range softAliases[name] {
		if c.tree.has(module) || c.tree.isBuiltin(module) {
			return c.add(module)
		}
	}
	return nil
}

// softAliases are the aliases among the soft dependencies of network drivers, which are of the crypto API: the module
// that has the algorithm on any machine.
var softAliases = map[string][]string{
	"crc32c":        {"crc32c_generic"},
	"crypto-crc32c": {"crc32c_generic"},
	"crct10dif":     {"crct10dif_generic"},
	"sha256":        {"sha256_generic"},
	"crypto-sha256": {"sha256_generic"},
	"xxhash64":      {"xxhash_generic"},
	"blake2b-256":   {"blake2b_generic"},
}

// finish sorts what was found and looks for its firmware.
func (c *selecting) finish() *Set {
	for _, m := range c.chosen {
		c.set.Modules = append(c.set.Modules, m)
	}
	slices.SortFunc(c.set.Modules, func(a, b *Module) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(c.set.Absent)
	slices.Sort(c.set.WithoutFirmware)
	c.set.findFirmware(c.firmwareDir)
	return c.set
}
