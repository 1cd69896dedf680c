package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Change is what became of a key of an original site.
type Change struct {
	// Old is the key in Boottorrent.yaml, New where its value is now, with it; empty if there is no successor, or what there is
	// instead.
	Old, New string
}

// Migrate writes boottorrent.yaml, version 1, beside the Boottorrent.yaml of the original site in dir, which stays as it is. It returns
// what became of each key. The systems need no change. Problems of the site come as [Problems]; an existing boottorrent.yaml
// is an error.
func Migrate(dir string) ([]Change, error) {
	if _, err := os.Lstat(filepath.Join(dir, ConfigFile)); err == nil {
		return nil, fmt.Errorf("%s is there already; nothing was changed", filepath.Join(dir, ConfigFile))
	}
	s, problems := Load(dir)
	if len(problems) > 0 {
		return nil, problems
	}
	if !s.Original {
		return nil, fmt.Errorf("%s is no site of the original BootTorrent", dir)
	}
	body, err := os.ReadFile(filepath.Join(s.Dir, originalFile))
	if err != nil {
		return nil, err
	}
	m := &migration{comments: comments(string(body))}
	m.write(s)
	for _, w := range s.Warnings {
		if _, list, ok := strings.Cut(w.What, "have no effect here: "); ok {
			for _, item := range strings.Split(list, "; ") {
				key, instead, _ := strings.Cut(strings.TrimSuffix(item, ")"), " (")
				m.changes = append(m.changes, Change{key, "— " + instead})
			}
		}
	}
	return m.changes, writeNew(filepath.Join(s.Dir, ConfigFile), m.out.String())
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// migration is a boottorrent.yaml in the making.
type migration struct {
	comments map[string][]string
	out      strings.Builder
	changes  []Change
}

func (m *migration) write(s *Site) {
	m.line("# Made by 'seeder migrate' from " + originalFile + ". Every key there is: see what 'seeder init' makes.")
	m.line("version: 1")
	m.line("")
	m.line("serve:")
	m.key("  ", "boottorrent.host_ip", "address", s.Serve.Address.String(), "serve.address")
	m.line("")
	m.key("", "boottorrent.default_os", "default", fmt.Sprintf("%q", s.Defaults.System), "default")
	m.key("", "boottorrent.timeout", "timeout", fmt.Sprint(s.Defaults.Timeout), "timeout")
	m.key("", "boottorrent.seed_time", "seed_time", fmt.Sprint(s.Defaults.SeedTime), "seed_time")
	m.line("")
	m.line("dhcp:")
	m.key("  ", "dnsmasq.enable_dhcp", "mode", string(s.DHCP.Mode), "dhcp.mode")
	if s.DHCP.Mode == DHCPServer {
		m.key("  ", "dnsmasq.dhcp_range", "range", fmt.Sprintf("{first: %s, last: %s}", s.DHCP.First, s.DHCP.Last), "dhcp.range and dhcp.lease")
		m.line("  lease: " + s.DHCP.Lease.String())
	} else {
		m.changes = append(m.changes, Change{"dnsmasq.dhcp_range", "— another server hands out addresses"})
	}
	m.line("")
	m.line("ports:")
	m.key("  ", "opentracker.port", "http", fmt.Sprint(s.Ports.HTTP), "ports.http")
	m.key("  ", "dnsmasq.enable_tftp", "tftp", fmt.Sprint(s.Ports.TFTP), "ports.tftp")
}

func (m *migration) line(text string) { m.out.WriteString(text + "\n") }

// key writes a key with the comments that its predecessor had.
func (m *migration) key(indent, old, name, value, path string) {
	for _, c := range m.comments[old] {
		m.line(indent + c)
	}
	m.line(indent + name + ": " + value)
	m.changes = append(m.changes, Change{old, path + ": " + value})
}

var (
	commentLine = regexp.MustCompile(`^\s*(#.*?)\s*$`)
	keyLine     = regexp.MustCompile(`^(\s*)([A-Za-z_]\w*):\s*(?:"[^"]*"|'[^']*'|[^#]*?)\s*(#.*?)?\s*$`)
)

// comments returns the comments of each key, SECTION.KEY: those in the lines above it and the one behind it.
func comments(text string) map[string][]string {
	found := map[string][]string{}
	section, above := "", []string(nil)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if c := commentLine.FindStringSubmatch(line); c != nil {
			above = append(above, c[1])
			continue
		}
		k := keyLine.FindStringSubmatch(line)
		switch {
		case k == nil:
		case k[1] == "":
			section = k[2]
		default:
			if k[3] != "" {
				above = append(above, k[3])
			}
			found[section+"."+k[2]] = above
		}
		above = nil
	}
	return found
}
