package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fitting takes out what Fit names.
func fitting(c *Catalog) (excluded map[string]error) {
	excluded = c.Fit()
	c.Systems = slices.DeleteFunc(c.Systems, func(s System) bool { return excluded[s.Name] != nil })
	return excluded
}

// A catalog that is too large is refused by the side that makes it, which is told what there is no room for: the default is in,
// and the others as they are listed.
func TestFit(t *testing.T) {
	c, _ := largeSite(t)
	for i := range 500 {
		s := c.Systems[i%200]
		s.Name = fmt.Sprintf("more-%d", i)
		c.Systems = append(c.Systems, s)
	}
	c.Defaults.System = "more-499"
	if _, err := c.Encode(); err == nil || !strings.Contains(err.Error(), fmt.Sprint("nodes read ", MaxDocument)) {
		t.Fatalf("700 systems: %v", err)
	}
	excluded := fitting(c)
	if len(excluded) == 0 || len(c.Systems) <= 200 || c.Systems[len(c.Systems)-1].Name != "more-499" {
		t.Errorf("%d systems fit, the last one is %s", len(c.Systems), c.Systems[len(c.Systems)-1].Name)
	}
	for i, s := range c.Systems[200 : len(c.Systems)-1] {
		if s.Name != fmt.Sprintf("more-%d", i) {
			t.Errorf("%s is in, and not what is listed before it", s.Name)
		}
	}
	if document := mustEncode(t, c); len(document) < MaxDocument-MaxEntry {
		t.Errorf("%d systems fit, but %d bytes are left", len(c.Systems), MaxDocument-len(document))
	}
}

// There are limits of numbers, too. One that is too large leaves its room to others.
func TestFitCounts(t *testing.T) {
	many := &Catalog{Version: Version}
	for i := range MaxSystems + 1 {
		s := example().Systems[0]
		s.Name, s.Title, s.Description = fmt.Sprint(i), "t", ""
		s.List.Files = 1
		many.Systems = append(many.Systems, s)
	}
	if excluded := many.Fit(); len(excluded) != 1 || excluded[fmt.Sprint(MaxSystems)] == nil {
		t.Errorf("one system more than nodes read: %v", excluded)
	}
	many.Systems = many.Systems[:MaxSiteFiles/MaxFiles+2]
	for i := range many.Systems[1:] {
		many.Systems[i].List.Files = MaxFiles
	}
	excluded := many.Fit()
	if name := fmt.Sprint(MaxSiteFiles / MaxFiles); len(excluded) != 2 || excluded[name] == nil || !strings.Contains(excluded[name].Error(), "100000 files") {
		t.Errorf("more files than a site has: %v", excluded)
	}
	many.Systems[3].List.Files = MaxFiles - 1
	if excluded := many.Fit(); len(excluded) != 1 || excluded[fmt.Sprint(MaxSiteFiles/MaxFiles)] == nil {
		t.Errorf("what is small fits beside what does not: %v", excluded)
	}
}

// What follows a system may be left out itself. Then the menu follows, whose name may be the longer one.
func TestFitWithoutWhatFollows(t *testing.T) {
	c, _ := largeSite(t)
	for i := range c.Systems[:150] {
		more := c.Systems[i]
		more.Name += "-more"
		c.Systems = append(c.Systems, more)
	}
	for i := range c.Systems {
		c.Systems[i].Launch = Launch{Method: MethodBin, Bin: &Bin{Program: "f0", Args: []string{strings.Repeat("a", MaxEntry-2200)}}, After: "x"}
	}
	last := c.Systems[0]
	last.Name, last.Launch.After = "x", ""
	c.Systems = append(c.Systems, last)
	if excluded := fitting(c); excluded["x"] == nil {
		t.Fatalf("%d systems fit", len(c.Systems))
	}
	for i := range c.Systems {
		c.Systems[i].Launch.After = AfterMenu
	}
	mustEncode(t, c)
}

// A system of the method root takes its boot part with it: neither is in without the other, and both count.
func TestFitBootParts(t *testing.T) {
	var c *Catalog
	withSystems := func(n int, description string) {
		c = &Catalog{Version: Version, Site: "s"}
		for i := range n {
			s, part := rootSystem(fmt.Sprint("system-", i))
			part.Description = description
			c.Systems, c.Runtimes = append(c.Systems, s), append(c.Runtimes, part)
		}
	}
	withSystems(MaxSystems, strings.Repeat("d", MaxDescription))
	excluded := fitting(c)
	c.Runtimes = slices.DeleteFunc(c.Runtimes, func(r Runtime) bool { return excluded[strings.TrimSuffix(r.Name, bootPart)] != nil })
	if document := mustEncode(t, c); len(excluded) == 0 || len(document) < MaxDocument-2*MaxEntry {
		t.Errorf("%d systems with boot parts fit, and %d bytes are left", len(c.Systems), MaxDocument-len(document))
	}
	withSystems(300, "")
	c.Runtimes[7].List.Files = MaxFiles
	c.Systems[6].List.Files = MaxSiteFiles - MaxFiles
	if excluded := c.Fit(); len(excluded) != 1 || excluded["system-7"] == nil {
		t.Errorf("the files of boot parts count: %v", excluded)
	}
	left := amount{bytes: MaxDocument, systems: 2, files: 2, runtimes: 0}
	if err := (amount{1, 1, 1, 1}).exceeds(left); err == nil || !strings.Contains(err.Error(), "its kernel") {
		t.Errorf("a boot part too many: %v", err)
	}
}

// rootSystem is a system of the method root with its boot part.
func rootSystem(name string) (System, Runtime) {
	s := example().Systems[0]
	s.Name = name
	s.Launch = Launch{Method: MethodRoot, Root: &Root{
		Images: []RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: WritableRAM,
		Boot: &RootBoot{Part: BootPartName(name), Kernel: "vmlinuz", Modules: "modules", KernelSHA256: strings.Repeat("0", 64), Release: "6.1.0"},
	}}
	part := s
	part.Name, part.Launch = BootPartName(name), Launch{}
	return s, Runtime{System: part}
}
