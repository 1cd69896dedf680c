package bootmenu

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// grubReader runs a GRUB script as far as it makes a menu.
type grubReader struct {
	ctx       context.Context
	files     *files
	variables map[string]string
	functions map[string][]command
	items     []item
	current   *Entry
	// where are the numbers of the submenus that are being read, from 0, and above their titles.
	where []int
	above []string
	// next is the number of the next item of each menu that is being read.
	next           []int
	nesting, steps int
	// returned says that a function or a file ended early.
	returned bool
}

// item is an entry or submenu, by the names that default may call it.
type item struct {
	entry     Entry
	place     string // 2 or 1>0
	title, id string
}

// readGRUB reads the configuration of GRUB.
func readGRUB(ctx context.Context, f *files, name string) ([]Entry, error) {
	g := &grubReader{
		ctx: ctx, files: f, functions: map[string][]command{}, next: []int{0},
		variables: map[string]string{
			// As on a PC with BIOS, whose menus have no entries for the firmware's own settings.
			"grub_platform": "pc", "grub_cpu": "i386", "prefix": "/" + path.Dir(name), "cmdpath": "/" + path.Dir(name),
			"feature_default_font_path": "y", "feature_menuentry_id": "y", "feature_menuentry_options": "y", "feature_timeout_style": "y",
			"feature_platform_search_hint": "y", "menuentry_id_option": "--id", "feature_all_video_module": "y", "feature_200_final": "y",
		},
	}
	err := g.source(name)
	return g.entries(), err
}

// entries are the items that start Linux, with the default marked.
func (g *grubReader) entries() []Entry {
	def := strings.Trim(g.variables["default"], ">")
	// A number or title of a submenu means its first entry.
	is := func(i item) bool {
		return def == i.place || def == i.title || def == i.id && i.id != "" || strings.HasPrefix(i.place, def+">") || strings.HasSuffix(def, ">"+i.title)
	}
	var out []Entry
	chosen := false
	for _, i := range g.items {
		if def != "" && !chosen && i.entry.Kernel != "" && is(i) {
			i.entry.Default, chosen = true, true
		}
		out = append(out, i.entry)
	}
	return out
}

// source runs a file.
func (g *grubReader) source(name string) error {
	text, err := g.files.file(name)
	if err != nil {
		return err
	}
	commands, err := parseScript(text)
	if err != nil {
		return err
	}
	_, err = g.run(commands)
	g.returned = false
	return err
}

// run runs commands; ok is what the last one returned.
func (g *grubReader) run(commands []command) (ok bool, err error) {
	if g.nesting++; g.nesting > maxNesting {
		return false, errTooMuch
	}
	defer func() { g.nesting-- }()
	ok = true
	for _, c := range commands {
		if g.returned {
			return ok, nil
		}
		if g.steps++; g.steps > maxSteps {
			return false, errTooMuch
		}
		if err := g.ctx.Err(); err != nil {
			return false, err
		}
		if c.branches != nil {
			err = g.conditional(c)
		} else {
			ok, err = g.command(c)
		}
		if err != nil {
			return false, err
		}
	}
	return ok, nil
}

func (g *grubReader) conditional(c command) error {
	for _, b := range c.branches {
		ok, err := g.run(b.condition)
		if err != nil {
			return err
		}
		if ok || b.otherwise {
			_, err := g.run(b.then)
			return err
		}
	}
	return nil
}

// command runs one command; of those that have nothing to do with the menu nothing is done, and they succeed.
func (g *grubReader) command(c command) (ok bool, err error) {
	words, err := g.expand(c.words)
	if err != nil || len(words) == 0 {
		return true, err
	}
	args := words[1:]
	switch words[0] {
	case "set", "export":
		return true, g.set(args)
	case "unset":
		for _, a := range args {
			delete(g.variables, a)
		}
	case "[", "test":
		return g.test(slices.DeleteFunc(args, func(a string) bool { return a == "]" })), nil
	case "!":
		ok, err := g.command(command{words: c.words[1:]})
		return !ok, err
	case "false", "probe", "regexp", "keystatus", "background_image", "usb_keyboard", "read", "sleep":
		return false, nil
	case "return":
		g.returned = true
	case "source", ".", "configfile", "normal":
		return g.include(args)
	case "load_env":
		if g.files.disk {
			g.loadEnvironment(args)
		}
	case "blscfg":
		return true, g.bls()
	case "function":
		if len(args) == 1 {
			g.functions[args[0]] = c.block
		}
	case "menuentry", "submenu":
		return true, g.menu(words[0] == "submenu", args, c.block)
	case "for":
		return true, g.each(args, c.block)
	case "while", "until":
	default:
		return g.other(words, args)
	}
	return true, nil
}

// other runs what loads a kernel, a function, or an assignment.
func (g *grubReader) other(words, args []string) (bool, error) {
	switch words[0] {
	case "linux", "linux16", "linuxefi":
		if g.current != nil && len(args) > 0 {
			g.current.Kernel, g.current.Initrd = g.path(args[0]), nil
			g.current.Cmdline = cmdline(args[1:])
		}
		return true, nil
	case "initrd", "initrd16", "initrdefi":
		if g.current != nil {
			for _, a := range args {
				if !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "newc:") {
					g.current.Initrd = append(g.current.Initrd, g.path(a))
				}
			}
		}
		return true, nil
	}
	if block, ok := g.functions[words[0]]; ok {
		ok, err := g.run(block)
		g.returned = false
		return ok, err
	}
	if name, value, ok := strings.Cut(words[0], "="); ok && len(words) == 1 {
		return true, g.set([]string{name + "=" + value})
	}
	return true, nil
}

// cmdline joins words, with quotes around those that have spaces in them, as GRUB does (grub-core/lib/cmdline.c).
func cmdline(words []string) string {
	var out []string
	for _, w := range words {
		if strings.ContainsAny(w, " \t") {
			w = `"` + w + `"`
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

func (g *grubReader) set(args []string) error {
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			continue
		}
		if len(value) > maxText || len(g.variables) > maxSteps {
			return errTooMuch
		}
		g.variables[name] = value
	}
	return nil
}

// path is what a script calls a file, as a path of the medium. What is relative is so to the root.
func (g *grubReader) path(p string) string { return inMedium(p, "") }

// include runs another file; one that is not there is not an error, but no success.
func (g *grubReader) include(args []string) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	if g.nesting++; g.nesting > maxNesting {
		return false, errTooMuch
	}
	defer func() { g.nesting-- }()
	switch err := g.source(g.path(args[0])); {
	case errors.Is(err, errTooMuch), g.ctx.Err() != nil:
		return false, err
	case err != nil:
		return false, nil
	}
	return true, nil
}

// bls adds the entries of the Boot Loader Specification that are on the medium.
func (g *grubReader) bls() error {
	for _, folder := range []string{blsFolder, "boot/" + blsFolder} {
		entries, err := readBLS(g.ctx, g.files, folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			e.Cmdline = strings.Join(g.expandWord(`"`+strings.ReplaceAll(e.Cmdline, `"`, `\"`)+`"`), " ")
			g.add(item{entry: e, title: e.Title, id: e.id})
		}
	}
	return nil
}

// menu reads a menuentry, whose block it runs to see what it would start, or a submenu.
func (g *grubReader) menu(sub bool, args []string, block []command) error {
	title, id := menuNames(args)
	if len(g.items) >= maxEntries {
		return errTooMuch
	}
	saved := maps.Clone(g.variables)
	defer func() { g.variables = saved }()
	if sub {
		level := len(g.next) - 1
		g.where, g.above = append(g.where, g.next[level]), append(g.above, title)
		g.next[level]++
		g.next = append(g.next, 0)
		_, err := g.run(block)
		g.next, g.where, g.above = g.next[:level+1], g.where[:level], g.above[:level]
		return err
	}
	e := Entry{Title: pathOf(append(slices.Clone(g.above), title))}
	outer := g.current
	g.current = &e
	_, err := g.run(block)
	g.current, g.returned = outer, false
	g.add(item{entry: e, title: title, id: id})
	return err
}

// add gives an item its place in the menu that is being read.
func (g *grubReader) add(i item) {
	level := len(g.next) - 1
	for _, n := range g.where {
		i.place += strconv.Itoa(n) + ">"
	}
	i.place += strconv.Itoa(g.next[level])
	g.next[level]++
	g.items = append(g.items, i)
}

// menuNames are the title and the ID in the arguments of menuentry.
func menuNames(args []string) (title, id string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--id" || a == "$menuentry_id_option":
			if i++; i < len(args) {
				id = args[i]
			}
		case a == "--class" || a == "--users" || a == "--hotkey" || a == "--source":
			i++
		case strings.HasPrefix(a, "--id="):
			id = strings.TrimPrefix(a, "--id=")
		case strings.HasPrefix(a, "--"):
		case title == "":
			title = a
		}
	}
	return title, id
}

// each runs: for NAME in WORDS.
func (g *grubReader) each(args []string, block []command) error {
	if len(args) < 2 || args[1] != "in" {
		return nil
	}
	for _, value := range args[2:] {
		if strings.ContainsAny(value, "*?") {
			continue // files of disks
		}
		g.variables[args[0]] = value
		if _, err := g.run(block); err != nil {
			return err
		}
	}
	return nil
}

// test is [ and test: comparisons of texts and numbers, and what is on the medium. What it does not know is false.
func (g *grubReader) test(a []string) bool {
	for i, word := range a {
		switch word {
		case "-o", "||":
			return g.test(a[:i]) || g.test(a[i+1:])
		}
	}
	for i, word := range a {
		switch word {
		case "-a", "&&":
			return g.test(a[:i]) && g.test(a[i+1:])
		}
	}
	if len(a) > 0 && a[0] == "!" {
		return !g.test(a[1:])
	}
	switch len(a) {
	case 1:
		return a[0] != ""
	case 2:
		return g.testOne(a[0], a[1])
	case 3:
		return compare(a[0], a[1], a[2])
	}
	return false
}

func (g *grubReader) testOne(op, value string) bool {
	switch op {
	case "-n":
		return value != ""
	case "-z":
		return value == ""
	case "-e", "-f", "-d", "-s":
		info, err := fs.Stat(g.files.fsys, g.path(value))
		return err == nil && (op == "-e" || (op == "-d") == info.IsDir())
	}
	return false
}

func compare(a, op, b string) bool {
	switch op {
	case "=", "==":
		return a == b
	case "!=":
		return a != b
	}
	x, err := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	if err != nil || err2 != nil {
		return false
	}
	switch op {
	case "-eq":
		return x == y
	case "-ne":
		return x != y
	case "-lt":
		return x < y
	case "-le":
		return x <= y
	case "-gt":
		return x > y
	case "-ge":
		return x >= y
	}
	return false
}
