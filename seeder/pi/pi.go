// Package pi serves Raspberry Pi 4 and 5 what mkimage pi put into the site's folder pi: in goes the name that a Pi asks TFTP for, out
// comes the file.
//
// A Pi asks for its files in a folder of its own: its serial number (9ffefdef/config.txt), its address (dc-a6-32-01-36-c2/config.txt), or
// what its owner has set; and without one if it finds nothing there to start from (Raspberry Pi's documentation, TFTP_PREFIX). So a file in
// pi/9ffefdef is for that machine, and one in pi for all. Some names come a second time with two slashes, and a Pi 5 goes by the second
// answer (seen by tinkerbell, docs/technical/RASPBERRY_PI5.md).
package pi

import (
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/boottorrent/boottorrent/internal/site"
	pifiles "github.com/boottorrent/boottorrent/templates/pi"
)

// maxCmdline is more than the kernel takes of a command line, in bytes.
const maxCmdline = 4096

// Files are those of a site.
type Files struct {
	// Dir is the site's directory.
	Dir string
	// HTTPPort is the port of the seeder's HTTP server.
	HTTPPort uint16
}

// There reports whether mkimage pi has made the folder.
func (f Files) There() bool {
	_, err := os.Stat(filepath.Join(f.Dir, site.PiDir, pifiles.ConfigFile))
	return err == nil
}

// machine matches the name of a folder that belongs to one Pi, its serial number or its address; the address is in a group.
var machine = regexp.MustCompile(`^(?:[0-9a-f]{8}|((?:[0-9a-f]{2}-){5}[0-9a-f]{2}))$`)

// find returns the path of the file that is meant by a name, and the address that the name begins with, as BOOTIF has it (dc-a6-…); it may
// be empty. If there is no such file, the error is fs.ErrNotExist.
func (f Files) find(name string) (file, mac string, err error) {
	name = path.Clean(name)
	if !fs.ValidPath(name) {
		return "", "", fs.ErrNotExist
	}
	candidates := []string{name}
	folder, rest, _ := strings.Cut(name, "/")
	m := machine.FindStringSubmatch(folder)
	if rest != "" && (m != nil || f.isFolder(folder)) {
		candidates = append(candidates, rest)
	}
	if m != nil {
		mac = m[1]
	}
	for _, c := range candidates {
		file = filepath.Join(f.Dir, site.PiDir, filepath.FromSlash(c))
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && !site.Private(f.Dir)(file) {
			return file, mac, nil
		}
	}
	return "", "", fs.ErrNotExist
}

func (f Files) isFolder(name string) bool {
	info, err := os.Stat(filepath.Join(f.Dir, site.PiDir, name))
	return err == nil && info.IsDir()
}

// Open opens the file that is meant by a name. If there is none, the error is fs.ErrNotExist.
func (f Files) Open(name string) (*os.File, error) {
	file, _, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return os.Open(file)
}

// Document makes cmdline.txt: what is in the file, and where the seeder is, which the Pi reached at the address local. A file that
// names a seeder stays as it is. ok is false for any other name, and if there is no such file.
func (f Files) Document(name string, local netip.Addr) (content []byte, ok bool) {
	if path.Base(path.Clean(name)) != pifiles.CmdlineFile {
		return nil, false
	}
	file, mac, err := f.find(name)
	if err != nil {
		return nil, false
	}
	text, err := readLine(file)
	if err != nil {
		return nil, false // Open says why
	}
	words := []string{text}
	if !strings.Contains(text, "bt.seeder=") {
		words = append(words, fmt.Sprintf("bt.seeder=http://%s", netip.AddrPortFrom(local, f.HTTPPort)))
	}
	if mac != "" {
		words = append(words, "BOOTIF=01-"+mac)
	}
	return []byte(strings.Join(words, " ") + "\n"), true
}

// readLine reads the line of a file, as far as a command line can be long.
func readLine(file string) (string, error) {
	r, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxCmdline))
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(line), err
}

// Probed reports whether a name is one that a Pi asks for to see whether it is there: what has the name of a Pi's folder in front. Most of
// what firmware looks for (pieeprom.sig, armstub8.bin, …) nobody has.
func (f Files) Probed(name string) bool {
	folder, rest, _ := strings.Cut(path.Clean(name), "/")
	return rest != "" && machine.MatchString(folder) && f.There()
}
