package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Migration is what Migrate did.
type Migration struct {
	// File is the path of the configuration it wrote.
	File string
	// Changes are what became of each key, in the order of Boottorrent.yaml.
	Changes []Change
	// KeysMade says that the site had no minisign keys, and has them now.
	KeysMade bool
}

// Change is what became of a key of an original site.
type Change struct {
	// Line is that of Boottorrent.yaml, Old the key in it with its section and value.
	Line int
	Old  string
	// New is the key in boottorrent.yaml with its value, or keys with commas between them; empty if there is none. If Lost is empty,
	// too, none is needed: what the key says is always so.
	New string
	// Lost is what there is instead of what the key meant; empty if its meaning is the same.
	Lost string
}

// Migrate writes boottorrent.yaml, version 1, beside the Boottorrent.yaml of the original site in dir, which stays as it is. The
// systems need no change, or what they need comes as problems: version 1 wants quotes around texts such as 2018 and true, and no slash
// in front of a file's name. Sites have keys, so they are made as by [EnsureKeys]. Problems of the site come as [Problems]; an
// existing boottorrent.yaml is an error, and stays as it is.
func Migrate(dir string) (*Migration, error) {
	m := &Migration{File: filepath.Join(dir, ConfigFile)}
	if _, err := os.Lstat(m.File); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("migrate %s: %s is there already; nothing was changed. Remove it to have it written again", dir, ConfigFile)
		}
		return nil, err
	}
	s, o, problems := load(dir)
	if s != nil {
		problems = s.AllProblems()
	}
	if len(problems) > 0 {
		return nil, problems
	}
	source, err := os.ReadFile(filepath.Join(s.Dir, OriginalFile))
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", dir, err)
	}
	config := version1(s, o.comments(source))
	if _, problems := parseVersion1(dir, config); len(problems) > 0 {
		return nil, fmt.Errorf("%w\nThe original took these, and version 1 doesn't. Change them as said, which the original's site takes as well, "+
			"and run this again; nothing was written", problems)
	}
	for _, f := range o.fates {
		m.Changes = append(m.Changes, Change{f.at.line, f.key + ": " + f.value, f.now, f.lost})
	}
	if m.KeysMade, err = EnsureKeys(s); err != nil {
		return nil, err
	}
	return m, writeNew(m.File, config)
}

// parseVersion1 reads the site in dir with another configuration than the one it has.
func parseVersion1(dir, config string) (*Site, Problems) {
	c := &checker{dir: dir}
	s, err := emptySite(dir)
	m := parseDocument(c, filepath.Join(dir, ConfigFile), []byte(config))
	if err != nil || m == nil {
		return nil, c.problems
	}
	defaultSystem, vnc := readConfig(m, s)
	readSystems(c, s, defaultSystem, vnc)
	c.sort()
	s.Warnings = c.warnings
	return s, append(c.problems, s.AllProblems()...)
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// version1 is the boottorrent.yaml of an original site, with comments by the original's keys.
func version1(s *Site, comments map[string][]string) string {
	w := &configWriter{comments: comments}
	w.comment("", "boottorrent")
	w.line("# From Boottorrent.yaml, by 'seeder migrate'. What 'seeder init' writes shows every key there is.")
	w.key("", "version: 1", "boottorrent.version")
	w.line("\nserve:")
	w.key("  ", "interfaces: "+quotedList(s.Serve.Interfaces), "dnsmasq.interface")
	if s.Serve.Address.IsValid() {
		w.key("  ", "address: "+s.Serve.Address.String(), "boottorrent.host_ip")
	}
	w.line("")
	w.key("", "default: "+strconv.Quote(s.Defaults.System), "boottorrent.default_os")
	w.key("", fmt.Sprintf("timeout: %d", s.Defaults.Timeout), "boottorrent.timeout")
	w.key("", fmt.Sprintf("seed_time: %d", s.Defaults.SeedTime), "boottorrent.seed_time")
	w.line("")
	w.key("", "dhcp:", "dnsmasq")
	w.key("  ", "mode: "+string(s.DHCP.Mode), "dnsmasq.enable_dhcp")
	w.comment("  ", "dnsmasq.dhcp_range")
	for _, key := range rangeKeys(s.DHCP) {
		if strings.HasPrefix(key, "router:") {
			w.line("  # As dnsmasq did: this machine. Only of use if it forwards packets.")
		}
		w.line("  " + key)
	}
	w.line("")
	w.key("", "ports:", "opentracker")
	w.key("  ", fmt.Sprintf("http: %d", s.Ports.HTTP), "opentracker.enable", "opentracker.port")
	w.key("  ", fmt.Sprintf("tftp: %d", s.Ports.TFTP), "dnsmasq.enable_tftp")
	w.line(fmt.Sprintf("  torrent: %d", s.Ports.Torrent))
	w.line("")
	w.key("", "log:", "aria2")
	w.key("  ", "level: "+s.Log.Level, "aria2.console_log_level")
	if s.Node.Cmdline != "" {
		w.line("\nnode:\n  cmdline: " + strconv.Quote(s.Node.Cmdline))
	}
	w.comment("", "")
	return w.out.String()
}

func quotedList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = strconv.Quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// configWriter is a boottorrent.yaml in the making.
type configWriter struct {
	comments map[string][]string
	out      strings.Builder
}

func (w *configWriter) line(text string) { w.out.WriteString(text + "\n") }

// key writes a key with its value, below the comments that its predecessors had.
func (w *configWriter) key(indent, text string, old ...string) {
	for _, key := range old {
		w.comment(indent, key)
	}
	w.line(indent + text)
}

func (w *configWriter) comment(indent, key string) {
	for _, c := range w.comments[key] {
		w.line(indent + "# " + c)
	}
}
