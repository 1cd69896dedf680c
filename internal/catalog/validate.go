package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Validate reports everything that would keep a node from using the catalog, joined in one error. What is wrong with a
// single system [System.Validate] says as well.
func (c *Catalog) Validate() error {
	if c.Version != Version {
		return fmt.Errorf("catalog: version %d; this program speaks version %d: build node image and seeder from the same release",
			c.Version, Version)
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("catalog: "+format, args...)) }
	if err := checkText("the site's name", c.Site, MaxName, ""); err != nil {
		bad("%w", err)
	}
	if c.Counter > MaxCounter {
		bad("its counter is %d; nodes count to %d", c.Counter, int64(MaxCounter))
	}
	if len(c.Systems) > MaxSystems || len(c.Runtimes) > MaxSystems {
		bad("there are %d systems and %d runtimes; nodes read %d of each", len(c.Systems), len(c.Runtimes), MaxSystems)
	}
	runtimes, names := map[string]bool{}, map[string]bool{}
	add := func(s *System, names map[string]bool) {
		switch {
		case names[s.Name]:
			bad("system %q is listed twice", s.Name)
		case Reserved(s.Name):
			bad("a system can't have the name %q, which stands for something else", s.Name)
		}
		names[s.Name] = true
		if err := s.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	for i := range c.Runtimes {
		if add(&c.Runtimes[i].System, runtimes); c.Runtimes[i].Unpacked < 0 {
			bad("runtime %q has %d bytes unpacked", c.Runtimes[i].Name, c.Runtimes[i].Unpacked)
		}
	}
	for i := range c.Systems {
		add(&c.Systems[i], names)
	}
	errs = append(append(errs, c.references(names, runtimes)...), c.validateFiles(), c.Rules.validate(names))
	return errors.Join(append(errs, c.Defaults.Seed.validate(), c.Limits.validate())...)
}

// references reports what is named and is not in the lists.
func (c *Catalog) references(names, runtimes map[string]bool) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("catalog: "+format, args...)) }
	for _, s := range c.Systems {
		if r := s.Launch.Root; r != nil && r.Boot != nil && !runtimes[r.Boot.Part] {
			bad("system %q needs the boot part %q, which is not in the list", s.Name, r.Boot.Part)
		}
		if q := s.Launch.QEMU; q != nil && !runtimes[q.Runtime] {
			bad("system %q needs the runtime %q, which is not in the list", s.Name, q.Runtime)
		}
		switch after := s.Launch.After; after {
		case "", AfterMenu, AfterReboot, AfterPowerOff:
		default:
			if !names[after] {
				bad("system %q is to be followed by %q, which is not in the list", s.Name, after)
			}
		}
	}
	if d := c.Defaults.System; d != "" && d != StartLocal && !names[d] {
		bad("the default system %q is not in the list", d)
	}
	return errs
}

// Validate reports everything that is wrong with the system itself, whatever else the catalog has. The runtime it needs and
// the system that follows it are looked for by [Catalog.Validate].
func (s *System) Validate() error {
	var errs []error
	bad := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("catalog: system %q: %w", s.Name, err))
		}
	}
	bad(CheckName(s.Name))
	bad(checkText("the title", s.Title, MaxTitle, ""))
	bad(checkText("the description", s.Description, MaxDescription, "\n"))
	bad(checkText("arch", s.Arch, MaxName, ""))
	bad(s.Launch.validate())
	bad(s.List.validate())
	switch {
	case s.Size < 0 || s.Size > MaxSize:
		bad(fmt.Errorf("its size is %d", s.Size))
	case s.Zeros < 0 || s.Zeros > s.Size:
		bad(fmt.Errorf("%d of its %d bytes are said to be zeros", s.Zeros, s.Size))
	}
	if s.PieceSums != "" && !isSum(s.PieceSums) {
		bad(fmt.Errorf("%q is not a SHA-256 of the sums of its pieces", s.PieceSums))
	}
	if s.PieceLength <= 0 {
		bad(fmt.Errorf("piece length %d", s.PieceLength))
	}
	if n := entrySize(s); n > MaxEntry {
		bad(fmt.Errorf("it takes %d bytes of the catalog, and nodes read %d; shorten its description, command line or arguments", n, MaxEntry))
	}
	return errors.Join(errs...)
}

// validate reports arguments that are missing, or that a node can't use. An unknown method is not an error here: an older node
// lists the system and says that it can't start it.
func (l *Launch) validate() error {
	switch l.Method {
	case MethodKexec:
		if l.Kexec != nil {
			return l.Kexec.validate()
		}
	case MethodBin:
		if l.Bin != nil {
			return cmp.Or(CheckPath(l.Bin.Program), checkWords("the argument", l.Bin.Args))
		}
	case MethodRoot:
		if l.Root != nil {
			return l.Root.validate()
		}
	case MethodQEMU:
		if l.QEMU != nil {
			return cmp.Or(checkText("guest", l.QEMU.Guest, MaxName, ""), checkWords("the argument", l.QEMU.Args))
		}
	default:
		return nil
	}
	return fmt.Errorf("method %s without its arguments", l.Method)
}

func (k *Kexec) validate() error {
	if len(k.Initrd) > MaxInitrds {
		return fmt.Errorf("it has %d initrds, and nodes join %d; join some of them", len(k.Initrd), MaxInitrds)
	}
	for _, p := range append([]string{k.Kernel}, k.Initrd...) {
		if err := CheckPath(p); err != nil {
			return err
		}
	}
	if err := k.Signed.Validate(); err != nil {
		return err
	}
	return checkText("the command line", k.Cmdline, MaxCmdline, "\t")
}

// programs are the files that the method names.
func (l *Launch) programs() []string {
	switch {
	case l.Method == MethodKexec && l.Kexec != nil:
		return append([]string{l.Kexec.Kernel}, l.Kexec.Initrd...)
	case l.Method == MethodRoot && l.Root != nil:
		var images []string
		for _, i := range l.Root.Images {
			images = append(images, i.Path)
		}
		return images
	case l.Method == MethodBin && l.Bin != nil:
		return []string{l.Bin.Program}
	}
	return nil
}

// CheckSizes reports what a method can't take of a system's files, given their sizes in bytes by their paths.
func (l *Launch) CheckSizes(size map[string]int64) error {
	if l.Method != MethodKexec || l.Kexec == nil {
		return nil
	}
	var sum int64
	for _, p := range l.Kexec.Initrd {
		sum += size[p] + 3 // where the next one begins is a multiple of four
	}
	if sum > MaxInitrd {
		return fmt.Errorf("its initrds %s have %d bytes together, and kexec takes %d; make them smaller",
			strings.Join(l.Kexec.Initrd, ", "), sum, int64(MaxInitrd))
	}
	return nil
}
