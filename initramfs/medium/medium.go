// Package medium reads the stick or disc that phase 1 was started from.
//
// In goes the serial number of the medium's FAT file system, which mkimage puts on the kernel command line; [Find] looks
// for it on the machine's disks, read only: whole ones, partitions of a GUID partition table (also an ISO image's, which
// counts in sectors of 512 bytes on any disc) and those partitions that the kernel knows. Out come the text of
// boottorrent.conf ([Medium.Conf]) and, to start phase 1 again with another command line, its kernel and initramfs
// ([Medium.Restart]). The one thing that is written is a sector of boottorrent.seen ([Medium.Remember]).
package medium

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

const (
	// lookEvery is how often the disks are looked at. That takes microseconds where none is new.
	lookEvery = 100 * time.Millisecond
	// hintAfter is when to say what is being waited for: the kernel leaves a USB stick alone for a second before it looks at it
	// (usb-storage's delay_use), and virtual CDs of management processors take several.
	hintAfter = 2 * time.Second
	// maxBootFile is how long bootFile, a kernel or an initramfs may be.
	maxBootFile = 256 << 20
)

// bootFile is what UEFI starts from the medium.
var bootFile = arch.Arch(runtime.GOARCH).RemovableFile()

// Medium is one that was found.
type Medium struct {
	// Device is the disk's name, such as sda.
	Device string

	volume *fat.Volume
	file   io.Closer
	// path is the disk's file, begins where on it the volume is, in bytes.
	path   string
	begins int64
}

// Close ends the reading.
func (m *Medium) Close() error { return m.file.Close() }

// Conf returns what is in boottorrent.conf. A medium without that file is one on which nothing is set, and gives an error that
// wraps fs.ErrNotExist.
func (m *Medium) Conf() ([]byte, error) {
	b, err := m.volume.ReadFile(mediumconf.Name, mediumconf.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("the medium %s: %w", m.Device, err)
	}
	return b, nil
}

// Find looks for the medium with a serial number until ctx ends: drivers find disks one after the other. log gets what is
// being waited for. The error says which disks were looked at.
func Find(ctx context.Context, id uint32, log func(format string, args ...any)) (*Medium, error) {
	return machine{sys: "/sys/class/block", dev: "/dev"}.find(ctx, id, log)
}

// machine is where the kernel shows the disks; tests have folders of their own.
type machine struct{ sys, dev string }

func (m machine) find(ctx context.Context, id uint32, log func(format string, args ...any)) (*Medium, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	hint := time.NewTimer(hintAfter)
	defer hint.Stop()
	s := search{machine: m, id: id, results: make(chan result), state: map[string]string{}, busy: map[string]bool{}}
	for {
		s.round(ctx)
		select {
		case <-look.C:
		case r := <-s.results:
			if r.medium != nil {
				return r.medium, nil
			}
			s.state[r.name], s.busy[r.name] = another, false
			if r.err != nil { // a drive that is not ready yet, maybe
				s.state[r.name] = r.err.Error()
			}
		case <-hint.C:
			log("medium: waiting for the stick or disc that this machine was started from (volume %s)", Volume(id))
		case <-ctx.Done():
			return nil, fmt.Errorf("the stick or disc that this machine was started from (volume %s) is not there%s; was it pulled out?",
				Volume(id), s.looked())
		}
	}
}

// Volume is a serial number as other systems show it: 1234-ABCD.
func Volume(id uint32) string { return fmt.Sprintf("%04X-%04X", id>>16, id&0xffff) }

// search is one run of find.
type search struct {
	machine
	id      uint32
	results chan result
	// state is what is wrong with each disk seen, or another; in the order in which they were seen. busy are being read.
	state map[string]string
	order []string
	busy  map[string]bool
}

const (
	silent  = "it doesn't answer"
	another = ""
)

// result is what became of one look at a disk.
type result struct {
	name   string
	medium *Medium
	err    error
}

// round begins to look at every disk that was not looked at with success. Each is read on its own: a drive that takes its time,
// or is broken, keeps nobody.
func (s *search) round(ctx context.Context) {
	entries, _ := os.ReadDir(s.sys) // there is none as long as the kernel has no disk
	for _, e := range entries {
		name := e.Name()
		state, known := s.state[name]
		if known && state == another || s.busy[name] || !s.present(name) {
			continue
		}
		if !known {
			s.order = append(s.order, name)
			s.state[name] = silent
		}
		s.busy[name] = true
		go func() {
			m, err := s.look(name)
			select {
			case s.results <- result{name, m, err}:
			case <-ctx.Done():
				if m != nil {
					m.Close()
				}
			}
		}()
	}
}

// present is whether something is in a drive, and it is not memory that looks like a disk.
func (s *search) present(name string) bool {
	if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") {
		return false
	}
	size, err := os.ReadFile(filepath.Join(s.sys, name, "size"))
	return err == nil && strings.TrimSpace(string(size)) != "0"
}

// look looks for the volume on one disk; nil without an error is another disk.
func (s *search) look(name string) (*Medium, error) {
	path := filepath.Join(s.dev, strings.ReplaceAll(name, "!", "/")) // the kernel's "!" is a "/" (kobject.c)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	volume, begins, err := volumeOf(f, s.id)
	if volume == nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Medium{Device: name, volume: volume, file: f, path: path, begins: begins}, nil
}

// volumeOf returns the FAT file system with a serial number on a disk, and where it begins, in bytes; nil if the disk has none. The error is
// a disk's that can't be read.
func volumeOf(disk io.ReaderAt, id uint32) (volume *fat.Volume, begins int64, err error) {
	v, err := fat.Open(disk)
	switch {
	case err == nil && v.ID == id:
		return v, 0, nil
	case err != nil && !errors.Is(err, fat.ErrFormat) && !errors.Is(err, io.EOF):
		return nil, 0, err
	}
	partitions, err := gpt.Read(disk)
	if err != nil {
		if errors.Is(err, gpt.ErrFormat) || errors.Is(err, io.EOF) {
			return nil, 0, nil
		}
		return nil, 0, err
	}
	for _, p := range partitions {
		if p.Last < p.First || p.Last > 1<<53 {
			continue
		}
		begins := int64(p.First) * gpt.Sector
		at := io.NewSectionReader(disk, begins, int64(p.Last-p.First+1)*gpt.Sector)
		if v, err := fat.Open(at); err == nil && v.ID == id {
			return v, begins, nil
		}
	}
	return nil, 0, nil
}

// looked lists the disks for the error.
func (s *search) looked() string {
	if len(s.order) == 0 {
		return ": no driver of this image has found a disk"
	}
	var disks []string
	for _, name := range s.order {
		if problem := s.state[name]; problem != another {
			name += " (" + problem + ")"
		}
		disks = append(disks, name)
	}
	return ", it is none of " + strings.Join(disks, ", ")
}
