// Package qemuargs knows what a command line of QEMU means (qemu-system-x86_64, qemu-system-aarch64): which options it has, which files they name, which of
// them a node can't have, and which QEMU no longer has. The seeder asks when it checks a system, and the node when it starts
// one.
package qemuargs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// Option is one of QEMU's options, or a disk image that stands alone.
type Option struct {
	// Name is without its dashes; empty for an image.
	Name, Value string
	// HasValue says that the option takes an argument.
	HasValue bool
}

// bare are QEMU's options without an argument, from 1.0 to 10.0 (qemu-options.hx); all others have one.
var bare = []string{
	"S", "alt-grab", "async-teardown", "audio-help", "ctrl-grab", "curses", "daemonize", "enable-fips", "enable-hax", "enable-kvm",
	"enable-nesting", "enable-sync-profile", "full-screen", "gtk", "h", "help", "localtime", "mem-prealloc", "no-acpi", "no-fd-bootchk",
	"no-frame", "no-hpet", "no-kvm", "no-kvm-irqchip", "no-kvm-pit", "no-kvm-pit-reinjection", "no-quit", "no-reboot", "no-shutdown",
	"no-user-config", "nodefaults", "nodefconfig", "nographic", "old-param", "one-insn-per-tb", "only-migratable", "portrait", "preconfig",
	"rtc-td-hack", "s", "sdl", "semihosting", "show-cursor", "singlestep", "snapshot", "std-vga", "tdf", "usb", "version", "win2k-hack",
	"xen-attach", "xen-create", "xen-domid-restrict",
}

// Parse reads a command line as QEMU does (lookup_opt in softmmu/vl.c): one or two dashes, an argument or none.
func Parse(words []string) Options {
	var opts Options
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || w == "-" {
			opts = append(opts, Option{Value: w, HasValue: true})
			continue
		}
		o := Option{Name: strings.TrimPrefix(w[1:], "-")}
		if !slices.Contains(bare, o.Name) && i+1 < len(words) {
			i++
			o.Value, o.HasValue = words[i], true
		}
		opts = append(opts, o)
	}
	return opts
}

// Options is a command line of QEMU.
type Options []Option

// Words is the command line again.
func (opts Options) Words() []string {
	var words []string
	for _, o := range opts {
		if o.Name != "" {
			words = append(words, "-"+o.Name)
		}
		if o.HasValue {
			words = append(words, o.Value)
		}
	}
	return words
}

// String is the option as it is written.
func (o Option) String() string { return strings.Join(Options{o}.Words(), " ") }

// Has says whether one of these options is there.
func (opts Options) Has(names ...string) bool {
	return slices.ContainsFunc(opts, func(o Option) bool { return o.Name != "" && slices.Contains(names, o.Name) })
}

// HasDevice says whether there is a -device whose model's name has one of these in it.
func (opts Options) HasDevice(names ...string) bool {
	return slices.ContainsFunc(opts.Values("device"), func(d string) bool {
		model, _ := Property(d, "")
		return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(model, name) })
	})
}

// Values are the arguments of all options of these names.
func (opts Options) Values(names ...string) []string {
	var values []string
	for _, o := range opts {
		if o.Name != "" && o.HasValue && slices.Contains(names, o.Name) {
			values = append(values, o.Value)
		}
	}
	return values
}

// Without returns the options that are not dropped, and the words of those that are.
func (opts Options) Without(drop func(Option) bool) (kept Options, dropped []string) {
	for _, o := range opts {
		if drop(o) {
			dropped = append(dropped, o.String())
		} else {
			kept = append(kept, o)
		}
	}
	return kept, dropped
}

// Property finds key=value in an argument of the form first,key=value,…, in which a doubled comma is a comma. An empty key
// stands for the first element, if that has no key.
func Property(argument, key string) (value string, ok bool) {
	for i, element := range Elements(argument) {
		k, v, named := strings.Cut(element, "=")
		switch {
		case named && k == key:
			return v, true
		case !named && i == 0 && key == "":
			return element, true
		}
	}
	return "", false
}

// Elements splits an argument at its single commas.
func Elements(argument string) []string {
	const comma = "\x00"
	parts := strings.Split(strings.ReplaceAll(argument, ",,", comma), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], comma, ",")
	}
	return parts
}

// Escape doubles the commas of a value.
func Escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// Join makes an argument of its elements.
func Join(elements []string) string {
	escaped := make([]string, len(elements))
	for i, e := range elements {
		escaped[i] = Escape(e)
	}
	return strings.Join(escaped, ",")
}

// Machine is the name of the machine type; empty for QEMU's own choice.
func (opts Options) Machine() string {
	name := ""
	for _, v := range opts.Values("M", "machine") {
		if n, ok := Property(v, ""); ok {
			name = n
		}
		if n, ok := Property(v, "type"); ok {
			name = n
		}
	}
	return name
}

// UsualMachine is the machine type, as a value of -machine, that guests of an architecture have whose arguments name none; empty: QEMU's
// own choice, which there is for PCs only. The newest interrupt controller is the one that takes more than eight processors.
func UsualMachine(guest arch.Arch) string {
	if guest == arch.ARM64 {
		return "virt,gic-version=max"
	}
	return ""
}

// Virt says that the machine of an arm64 guest is QEMU's own, which has PCI, and no device that isn't asked for.
func (opts Options) Virt() bool {
	m := opts.Machine()
	return m == "" || m == "virt" || strings.HasPrefix(m, "virt-")
}

// PC says that the machine is one of those with PCI that QEMU's devices are made for.
func (opts Options) PC() bool {
	m := opts.Machine()
	return m == "" || m == "pc" || m == "q35" || strings.HasPrefix(m, "pc-")
}

// Accelerators are those the options ask for, in the order in which QEMU tries them; none: it is open.
func (opts Options) Accelerators() []string {
	var found []string
	for _, o := range opts {
		switch o.Name {
		case "enable-kvm":
			found = append(found, "kvm")
		case "accel":
			for _, key := range []string{"", "accel"} {
				if v, ok := Property(o.Value, key); ok {
					found = append(found, strings.Split(v, ":")...)
				}
			}
		case "M", "machine":
			if v, ok := Property(o.Value, "accel"); ok {
				found = append(found, strings.Split(v, ":")...)
			}
		}
	}
	return found
}

// Memory is what -m asks for in bytes; 0 where it doesn't, or not in a way known here.
func (opts Options) Memory() int64 {
	size := int64(0)
	for _, v := range opts.Values("m") {
		s, ok := Property(v, "size")
		if !ok {
			s, ok = Property(v, "")
		}
		if ok {
			size = parseSize(s)
		}
	}
	return size
}

// parseSize reads a size as -m has it: in MiB, or with a suffix (qemu_strtosz in util/cutils.c). 0 if it isn't one.
func parseSize(s string) int64 {
	unit := 1 << 20
	if i := strings.IndexAny(s, "bBkKmMgGtT"); i >= 0 && i == len(s)-1 {
		unit = map[byte]int{'B': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}[strings.ToUpper(s)[i]]
		s = s[:i]
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n*float64(unit) > 1<<60 {
		return 0
	}
	return int64(n * float64(unit))
}

// Writable says that the guest has a disk it can write to, all of which may have to be kept in memory.
func (opts Options) Writable() bool {
	for _, o := range opts {
		switch o.Name {
		case "", "hda", "hdb", "hdc", "hdd", "blockdev", "sd", "mtdblock", "virtfs", "fsdev":
			return true
		case "drive":
			if media, _ := Property(o.Value, "media"); media != "cdrom" {
				return true
			}
		}
	}
	return false
}
