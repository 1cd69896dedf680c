// Package efiboot tells UEFI firmware what to start the next time: in goes the folder in which the kernel shows the firmware's variables
// (efivarfs), out come its boot options ([Options]), and one of them is set for the next start alone ([SetNext]). Nothing but BootNext is
// ever written (UEFI 2.10, section 3.3): the order of the options stays as it is.
package efiboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// Folder is where efivarfs is mounted.
const Folder = "/sys/firmware/efi/efivars"

// global is EFI_GLOBAL_VARIABLE, the GUID of these variables.
const global = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

const (
	// maxVariable is the most that is read of a variable, in bytes.
	maxVariable = 64 << 10
	// maxOptions is how many options are read.
	maxOptions = 500
	// attributes are those of BootNext: non-volatile, for boot services, for the system that runs.
	attributes = 7
	// active is LOAD_OPTION_ACTIVE, hidden LOAD_OPTION_HIDDEN (UEFI 2.10, section 3.1.3).
	active, hidden = 1, 8
)

// Mount mounts efivarfs, unless that is done. Its module is loaded already, or built in.
func Mount() error {
	entries, err := os.ReadDir(Folder)
	if err == nil && len(entries) > 0 {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the kernel does not show the firmware's variables: the firmware has none for it, or it was started with efi=noruntime")
	}
	if err := unix.Mount("efivarfs", Folder, "efivarfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount efivarfs at %s: %w", Folder, err)
	}
	return nil
}

// Option is a boot option of the firmware.
type Option struct {
	// Number is that of its variable, Boot0003.
	Number uint16
	// Title is what the firmware calls it.
	Title string
	// Disk says that it leads to a disk: to a partition of one, or to the disk itself, where the firmware then looks for its default loader.
	Disk bool
	// Partition is the partition that it names; nil: none.
	Partition *Partition
}

// Partition is a partition as a device path names it (UEFI 2.10, section 10.3.5.1).
type Partition struct {
	// Number is from 1 on, Start in blocks of the disk.
	Number uint32
	Start  uint64
}

// String is how efibootmgr(8) calls the option.
func (o Option) String() string { return fmt.Sprintf("Boot%04X %s", o.Number, o.Title) }

// Options returns the firmware's active boot options in a folder of variables, in the order in which the firmware tries them; those that
// are not in that order come last.
func Options(folder string) ([]Option, error) {
	order, err := read(folder, "BootOrder")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(folder, "Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]"+global))
	if err != nil {
		return nil, err
	}
	var options []Option
	for _, name := range names[:min(len(names), maxOptions)] {
		digits := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "Boot"), global)
		number, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			continue
		}
		value, err := read(folder, "Boot"+digits)
		if err != nil {
			return nil, err
		}
		if o, ok := parse(value); ok {
			o.Number = uint16(number)
			options = append(options, o)
		}
	}
	place := func(o Option) int {
		for i := 0; i+1 < len(order); i += 2 {
			if binary.LittleEndian.Uint16(order[i:]) == o.Number {
				return i
			}
		}
		return len(order)
	}
	slices.SortStableFunc(options, func(a, b Option) int { return place(a) - place(b) })
	return options, nil
}

// read is a variable's value, without its attributes.
func read(folder, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(folder, name+global))
	if err != nil {
		return nil, fmt.Errorf("the firmware's variable %s: %w", name, err)
	}
	defer f.Close()
	b := make([]byte, maxVariable)
	n, err := f.Read(b) // efivarfs gives a variable in one piece
	if n < 4 {
		return nil, fmt.Errorf("the firmware's variable %s can't be read (%d bytes, %v)", name, n, err)
	}
	return b[4:n], nil
}

// SetNext has the firmware start an option the next time, once.
func SetNext(folder string, number uint16) error {
	value := binary.LittleEndian.AppendUint32(nil, attributes)
	value = binary.LittleEndian.AppendUint16(value, number)
	f, err := os.OpenFile(filepath.Join(folder, "BootNext"+global), os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		_, err = f.Write(value) // in one piece, or the firmware is given half of it
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("write the firmware's variable BootNext: %w", err)
	}
	now, err := read(folder, "BootNext")
	if err == nil && !bytes.Equal(now, value[4:]) {
		err = fmt.Errorf("the firmware did not keep its variable BootNext: it is %x", now)
	}
	return err
}

// Types and subtypes of nodes of device paths (UEFI 2.10, section 10.3).
const (
	typeMessaging = 3
	typeMedia     = 4
	typeBBS       = 5
	typeEnd       = 0x7f

	mediaPartition = 1
	mediaFile      = 4
	bbsHardDrive   = 2
)

// controllers are the messaging nodes that a disk is behind: ATAPI, SCSI, SATA, NVMe, SAS, UFS, SD, eMMC. USB is not among them: what is
// plugged in is not the machine's own.
var controllers = []byte{1, 2, 18, 23, 22, 25, 26, 29}

// parse reads an EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3); false: it is not one, or not active.
func parse(b []byte) (o Option, ok bool) {
	if len(b) < 6 {
		return o, false
	}
	flags, length := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint16(b[4:]))
	if flags&active == 0 || flags&hidden != 0 {
		return o, false
	}
	var title []uint16
	rest := b[6:]
	for {
		if len(rest) < 2 {
			return o, false
		}
		c := binary.LittleEndian.Uint16(rest)
		if rest = rest[2:]; c == 0 {
			break
		}
		title = append(title, c)
	}
	o.Title = strings.TrimSpace(string(utf16.Decode(title)))
	if length > len(rest) {
		return o, false
	}
	o.follow(rest[:length])
	return o, true
}

// follow walks along a device path.
func (o *Option) follow(path []byte) {
	removable := false
	for len(path) >= 4 {
		kind, sub, length := path[0], path[1], int(binary.LittleEndian.Uint16(path[2:]))
		if length < 4 || length > len(path) || kind == typeEnd {
			break
		}
		node := path[4:length]
		path = path[length:]
		switch {
		case kind == typeMedia && sub == mediaPartition && len(node) >= 20:
			o.Disk = true
			o.Partition = &Partition{Number: binary.LittleEndian.Uint32(node), Start: binary.LittleEndian.Uint64(node[4:])}
		case kind == typeMedia && sub != mediaFile && sub != mediaPartition:
			removable = true // a CD, a volume of the firmware's own (its shell, its setup)
		case kind == typeMessaging && slices.Contains(controllers, sub):
			o.Disk = true
		case kind == typeMessaging && sub == 5: // USB
			removable = o.Partition == nil
		case kind == typeBBS && len(node) >= 2 && binary.LittleEndian.Uint16(node) == bbsHardDrive:
			o.Disk = true
		}
	}
	if removable {
		o.Disk = false
	}
}
