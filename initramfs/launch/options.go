package launch

import (
	"slices"
	"strconv"
	"strings"
)

// option is one of QEMU's options, or a disk image that stands alone.
type option struct {
	// name is without its dashes; empty for an image.
	name, value string
	// hasValue says that the option takes an argument.
	hasValue bool
}

// bare are the options of qemu-system-x86_64 without an argument, from 2.0 to 10.0 (qemu-options.hx); all others have one.
var bare = []string{
	"S", "alt-grab", "async-teardown", "audio-help", "ctrl-grab", "curses", "daemonize", "enable-fips", "enable-hax", "enable-kvm",
	"enable-sync-profile", "full-screen", "gtk", "h", "help", "mem-prealloc", "no-acpi", "no-fd-bootchk", "no-frame", "no-hpet",
	"no-kvm", "no-kvm-irqchip", "no-kvm-pit", "no-kvm-pit-reinjection", "no-quit", "no-reboot", "no-shutdown", "no-user-config",
	"nodefaults", "nodefconfig", "nographic", "old-param", "one-insn-per-tb", "only-migratable", "portrait", "preconfig",
	"s", "sdl", "semihosting", "singlestep", "snapshot", "usb", "version", "win2k-hack", "xen-attach",
	"xen-create", "xen-domid-restrict",
}

// parseOptions reads a command line as QEMU does (lookup_opt in softmmu/vl.c): one or two dashes, an argument or none.
func parseOptions(words []string) options {
	var opts options
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || w == "-" {
			opts = append(opts, option{value: w, hasValue: true})
			continue
		}
		o := option{name: strings.TrimPrefix(w[1:], "-")}
		if !slices.Contains(bare, o.name) && i+1 < len(words) {
			i++
			o.value, o.hasValue = words[i], true
		}
		opts = append(opts, o)
	}
	return opts
}

// options is a command line of QEMU.
type options []option

// words is the command line again.
func (opts options) words() []string {
	var words []string
	for _, o := range opts {
		if o.name != "" {
			words = append(words, "-"+o.name)
		}
		if o.hasValue {
			words = append(words, o.value)
		}
	}
	return words
}

// has says whether one of these options is there.
func (opts options) has(names ...string) bool {
	return slices.ContainsFunc(opts, func(o option) bool { return o.name != "" && slices.Contains(names, o.name) })
}

// values are the arguments of all options of these names.
func (opts options) values(names ...string) []string {
	var values []string
	for _, o := range opts {
		if o.name != "" && o.hasValue && slices.Contains(names, o.name) {
			values = append(values, o.value)
		}
	}
	return values
}

// without returns the options that are not dropped, and the words of those that are.
func (opts options) without(drop func(option) bool) (kept options, dropped []string) {
	for _, o := range opts {
		if drop(o) {
			dropped = append(dropped, strings.Join(options{o}.words(), " "))
		} else {
			kept = append(kept, o)
		}
	}
	return kept, dropped
}

// property finds key=value in an argument of the form first,key=value,…, in which a doubled comma is a comma. An empty key
// stands for the first element, if that has no key.
func property(argument, key string) (value string, ok bool) {
	for i, element := range elements(argument) {
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

// elements splits an argument at its single commas.
func elements(argument string) []string {
	const comma = "\x00"
	parts := strings.Split(strings.ReplaceAll(argument, ",,", comma), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], comma, ",")
	}
	return parts
}

// escape doubles the commas of a value.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// machine is the name of the machine type; empty for QEMU's own choice.
func (opts options) machine() string {
	name := ""
	for _, v := range opts.values("M", "machine") {
		if n, ok := property(v, ""); ok {
			name = n
		}
		if n, ok := property(v, "type"); ok {
			name = n
		}
	}
	return name
}

// pc says that the machine is one of those with PCI that QEMU's devices are made for.
func (opts options) pc() bool {
	m := opts.machine()
	return m == "" || m == "pc" || m == "q35" || strings.HasPrefix(m, "pc-")
}

// accelerators are those the options ask for, in the order in which QEMU tries them; none: it is open.
func (opts options) accelerators() []string {
	var found []string
	for _, o := range opts {
		switch o.name {
		case "enable-kvm":
			found = append(found, "kvm")
		case "accel":
			for _, key := range []string{"", "accel"} {
				if v, ok := property(o.value, key); ok {
					found = append(found, strings.Split(v, ":")...)
				}
			}
		case "M", "machine":
			if v, ok := property(o.value, "accel"); ok {
				found = append(found, strings.Split(v, ":")...)
			}
		}
	}
	return found
}

// memory is what -m asks for in bytes; 0 where it doesn't, or not in a way known here.
func (opts options) memory() int64 {
	size := int64(0)
	for _, v := range opts.values("m") {
		s, ok := property(v, "size")
		if !ok {
			s, ok = property(v, "")
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

// writable says that the guest has a disk it can write to, all of which may have to be kept in memory.
func (opts options) writable() bool {
	for _, o := range opts {
		switch o.name {
		case "", "hda", "hdb", "hdc", "hdd", "blockdev", "sd", "mtdblock", "virtfs", "fsdev":
			return true
		case "drive":
			if media, _ := property(o.value, "media"); media != "cdrom" {
				return true
			}
		}
	}
	return false
}
