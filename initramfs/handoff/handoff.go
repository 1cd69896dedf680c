// Package handoff is what phase 1 hands on to itself when it starts the kernel of a system of the method root: the same program
// goes on under that kernel, as the same boot.
//
// In go the node's state and what it was given by the seeder, as it was served; [Initramfs] writes them, with the program that
// runs, into the initramfs for the other kernel, where they lie in the folder [Dir], and [Open] reads them there. What is believed
// of them is verified again: the catalog by its signature, everything else by what the catalog says of it.
package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// Dir is the folder in the initramfs.
const Dir = "/etc/boottorrent/handoff"

// Names of the files in it.
const (
	stateFile     = "state.json"
	catalogFile   = "catalog.json"
	signatureFile = "catalog.json.minisig"
	listFile      = "files.json"
	torrentFile   = "system.torrent"
	hostKeyFile   = "ssh_host_key"
	// Of the boot part there are its list, its torrent, and its files, as partDir/NAME/PATH.
	partListFile    = "part-files.json"
	partTorrentFile = "part.torrent"
	partDir         = "part"
)

// maxState is the most bytes of the files that are this package's own.
const maxState = 1 << 20

// State is what the node knows of itself.
type State struct {
	// System is the name of the system that it is on its way to, Seeder the base URL of the seeder.
	System string `json:"system"`
	Seeder string `json:"seeder"`
	// Seeders are those that the node knows, that one first.
	Seeders []catalog.SeederAddress `json:"seeders,omitempty"`
	// Cmdline is what the node was started with: the system's own kernel command line says nothing to phase 1.
	Cmdline config.Cmdline `json:"cmdline"`
	// Lease is what the node is on the network, as it was given, and LeaseAge for how long it had been so.
	Lease    network.Lease `json:"lease"`
	LeaseAge time.Duration `json:"lease_age"`
	// At is when this was written, by the machine's clock.
	At time.Time `json:"at"`
	// Facts are what the site's rules go by, as the kernel before saw them; nil: that was an older release.
	Facts *rules.Facts `json:"facts,omitempty"`
	// PartName is the name of the boot part (catalog.Runtime) that is handed on, too; empty: none is.
	PartName string `json:"part,omitempty"`
	// Files are the SHA-256 of the archives of files for this machine.
	Files []string `json:"files,omitempty"`
	// Report is the node's last one, and Logged how many lines of its log the seeder has.
	Report report.Report `json:"report"`
	Logged int64         `json:"logged"`
}

// maxGap bounds the time between the two kernels: a machine without a clock that runs on begins anywhere.
const maxGap = 5 * time.Minute

// Elapsed is how long ago this was written, for a kernel that has been running for uptime: by the machine's clock, where that can be.
func (s *State) Elapsed(now time.Time, uptime time.Duration) time.Duration {
	if d := now.Sub(s.At); d >= uptime && d <= uptime+maxGap {
		return d
	}
	return uptime
}

// Handoff is all that is handed on.
type Handoff struct {
	State
	// Catalog, Signature and List (the list of the system's files) are as the seeder served them, Torrent is the metainfo file.
	Catalog, Signature, List, Torrent []byte
	// HostKey is the file with the private key of the SSH server; empty if there is none.
	HostKey []byte
	// Part is the boot part, to be given away under the other kernel too; nil: it is not.
	Part *Part
	// MachineFiles are the archives of files for this machine, by their SHA-256.
	MachineFiles map[string][]byte
}

// files are those of the folder by their names.
func (h *Handoff) files() (map[string][]byte, error) {
	if h.Part != nil {
		h.PartName = h.Part.System.Name
	}
	h.State.Files = slices.Sorted(maps.Keys(h.MachineFiles))
	state, err := json.MarshalIndent(h.State, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write down the node's state: %w", err)
	}
	files := map[string][]byte{
		stateFile: state, catalogFile: h.Catalog, signatureFile: h.Signature, listFile: h.List, torrentFile: h.Torrent,
	}
	if len(h.HostKey) > 0 {
		files[hostKeyFile] = h.HostKey
	}
	for sum, archive := range h.MachineFiles {
		files[machineFile(sum)] = archive
	}
	if h.Part == nil {
		return files, nil
	}
	files[partTorrentFile] = h.Part.Torrent
	files[partListFile], err = h.Part.Files.Encode()
	return files, err
}

// Received is what was handed on, verified.
type Received struct {
	State
	Catalog *catalog.Catalog
	// Document and Signature are those of the catalog.
	Document, Signature []byte
	// System is the one of State.System, Files its files, Torrent its metainfo file.
	System  catalog.System
	Files   catalog.FileList
	Torrent []byte
	HostKey []byte
	// Part is the boot part; nil: none was handed on.
	Part *Part
	// MachineFiles are the archives of files for this machine, by their SHA-256.
	MachineFiles map[string][]byte
}

// Part is a boot part whose files were handed on. They were verified when they were fetched.
type Part struct {
	System  catalog.System
	Files   catalog.FileList
	Torrent []byte
	// Dir has the part's folder: its files are Dir/NAME/PATH.
	Dir string
}

// Open reads the folder and verifies what is in it with the site's public key. Where there is no folder, the error is an
// os.ErrNotExist.
func Open(dir string, key minisign.PublicKey) (*Received, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read what was handed on: %w", err)
	}
	defer root.Close()
	in := &reader{root: root}
	r, err := open(in, key)
	if err == nil && r.PartName != "" {
		r.Part, err = openPart(in, r)
	}
	if err == nil {
		err = r.openMachineFiles(in)
	}
	if err != nil {
		return nil, fmt.Errorf("what was handed on in %s: %w", dir, err)
	}
	return r, nil
}

// machineFile is the name of an archive of files for this machine.
func machineFile(sum string) string { return "machine-" + sum + ".cpio" }

// openMachineFiles verifies the files for this machine.
func (r *Received) openMachineFiles(in *reader) error {
	r.MachineFiles = map[string][]byte{}
	for _, sum := range r.State.Files {
		i := slices.IndexFunc(r.Catalog.Files, func(f catalog.Files) bool { return f.SHA256 == sum })
		if i < 0 {
			return fmt.Errorf("the catalog has no files for machines with the SHA-256 %q", sum)
		}
		archive := in.read(machineFile(sum), catalog.MaxFileTree)
		if in.err != nil {
			return in.err
		}
		if _, err := machinefiles.Verify(r.Catalog.Files[i], archive); err != nil {
			return err
		}
		r.MachineFiles[sum] = archive
	}
	return nil
}

// openPart verifies the boot part.
func openPart(in *reader, r *Received) (*Part, error) {
	part, listed := r.Catalog.Runtime(r.PartName)
	if !listed {
		return nil, fmt.Errorf("the catalog has no boot part %q", r.PartName)
	}
	list, torrent := in.read(partListFile, catalog.MaxFileList), in.read(partTorrentFile, catalog.MaxTorrent)
	if in.err != nil {
		return nil, in.err
	}
	files, err := part.OpenFiles(list)
	if err != nil {
		return nil, err
	}
	return &Part{part.System, files, torrent, filepath.Join(in.root.Name(), partDir)}, swarm.CheckMetainfo(torrent, part.System, files)
}

func open(in *reader, key minisign.PublicKey) (*Received, error) {
	var r Received
	state := in.read(stateFile, maxState)
	r.Document, r.Signature = in.read(catalogFile, catalog.MaxDocument), in.read(signatureFile, catalog.MaxSignature)
	list := in.read(listFile, catalog.MaxFileList)
	r.Torrent = in.read(torrentFile, catalog.MaxTorrent)
	if in.err != nil {
		return nil, in.err
	}
	r.HostKey, in.err = in.read(hostKeyFile, maxState), nil // where there is none, the node makes a new one
	if err := json.Unmarshal(state, &r.State); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	return &r, r.verify(key, list)
}

// verify sets what the catalog says.
func (r *Received) verify(key minisign.PublicKey, list []byte) (err error) {
	if r.Catalog, err = catalog.Open(key, r.Document, r.Signature); err != nil {
		return err
	}
	var listed bool
	if r.System, listed = r.Catalog.System(r.State.System); !listed {
		return fmt.Errorf("the catalog has no system %q", r.State.System)
	}
	if r.Files, err = r.System.OpenFiles(list); err != nil {
		return err
	}
	return swarm.CheckMetainfo(r.Torrent, r.System, r.Files)
}

// reader reads files until one can't be.
type reader struct {
	root *os.Root
	err  error
}

// read returns what is in a file of at most limit bytes.
func (r *reader) read(name string, limit int64) []byte {
	if r.err != nil {
		return nil
	}
	f, err := r.root.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s is missing", name) // which is not the same as that nothing was handed on
	}
	if err != nil {
		r.err = err
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	r.err = err
	return b
}

// name is the path of a file of the folder in an archive.
func name(file string) string { return filepath.Join(Dir, file)[1:] }
