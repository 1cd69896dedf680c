package flash

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Device is a disk, as lsblk(8) tells.
type Device struct {
	// Path is the device's file, Name its last part.
	Path, Name string
	// Model has the vendor in it; it may be empty, as Serial may.
	Model, Serial string
	// Size is in bytes; 0 is a reader without a card.
	Size int64
	// Sector is how many bytes its sectors have, as software counts them.
	Sector int64
	// Removable is whether a person can pull it out: a stick, a card, a disk in a USB case.
	Removable bool
	ReadOnly  bool
	// Content is what is on it, a partition each: "vfat STICK", "ext4".
	Content []string
	// Mounts are the places where it or what is on it is mounted; "[SWAP]" is swap space in use.
	Mounts []string
}

// block is an element of lsblk --json.
type block struct {
	Name, Path, Type      string
	Model, Vendor, Serial string
	Size                  int64
	Sector                int64 `json:"log-sec"`
	RM, Hotplug, RO       bool
	Tran                  string
	FSType, Label, PTType string
	Mountpoints           []*string
	Children              []block
}

const columns = "NAME,PATH,TYPE,MODEL,VENDOR,SERIAL,SIZE,LOG-SEC,RM,HOTPLUG,RO,TRAN,FSTYPE,LABEL,PTTYPE,MOUNTPOINTS"

// List returns all disks of this machine, loop devices that are in use included.
func List(ctx context.Context) ([]Device, error) {
	out, err := exec.CommandContext(ctx, "lsblk", "--json", "--bytes", "--tree", "--output", columns).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("the disks are listed by lsblk, which is not here: apt-get install util-linux")
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("list the disks by lsblk: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("list the disks by lsblk: %w", err)
	}
	return parse(out)
}

// parse reads lsblk's output.
func parse(out []byte) ([]Device, error) {
	var list struct{ BlockDevices []block }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read lsblk's list of disks: %w", err)
	}
	var devices []Device
	for _, b := range list.BlockDevices {
		if b.Type != "disk" && b.Type != "loop" {
			continue
		}
		d := Device{
			Path: b.Path, Name: b.Name, Serial: strings.TrimSpace(b.Serial), Size: b.Size, Sector: cmp.Or(b.Sector, 512), ReadOnly: b.RO,
			Model:     strings.Join(strings.Fields(b.Vendor+" "+b.Model), " "),
			Removable: b.RM || b.Hotplug || b.Tran == "usb",
		}
		d.add(b)
		devices = append(devices, d)
	}
	return devices, nil
}

// add notes what is on b and below it, volumes of encryption, RAID and LVM included.
func (d *Device) add(b block) {
	if text := strings.TrimSpace(b.FSType + " " + b.Label); text != "" {
		d.Content = append(d.Content, text)
	}
	for _, m := range b.Mountpoints {
		if m != nil && !slices.Contains(d.Mounts, *m) {
			d.Mounts = append(d.Mounts, *m)
		}
	}
	for _, c := range b.Children {
		d.add(c)
	}
}

// find returns the device that a person named.
func find(devices []Device, name string) (Device, error) {
	path := name
	if real, err := filepath.EvalSymlinks(name); err == nil {
		path = real // of /dev/disk/by-id/…
	}
	var names []string
	for _, d := range devices {
		if d.Path == path || d.Name == name {
			return d, nil
		}
		names = append(names, d.Path)
	}
	for _, d := range devices {
		if strings.HasPrefix(filepath.Base(path), d.Name) {
			return Device{}, fmt.Errorf("%s is not a whole disk; did you mean %s?", name, d.Path)
		}
	}
	return Device{}, fmt.Errorf("there is no disk %s; there are %s", name, strings.Join(names, ", "))
}

// system are mount points of the running system.
var system = []string{"/", "/boot", "/boot/efi", "/usr", "/var", "/home", "[SWAP]"}

// Refuse says why an image must not be written to the device; force allows one that is not removable.
func (d Device) Refuse(image *Image, force bool) error {
	for _, m := range d.Mounts {
		if slices.Contains(system, m) {
			return fmt.Errorf("%s is not written: the running system is on it (%s)", d.Path, m)
		}
	}
	switch {
	case len(d.Mounts) > 0:
		return fmt.Errorf("%s is not written: it is mounted on %s; unmount it first: umount %s",
			d.Path, strings.Join(d.Mounts, ", "), strings.Join(d.Mounts, " "))
	case d.Size == 0:
		return fmt.Errorf("%s is not written: there is no medium in it", d.Path)
	case d.ReadOnly:
		return fmt.Errorf("%s is not written: it is write-protected; look for a switch on it", d.Path)
	case image.Sector != 0 && d.Sector != image.Sector:
		return fmt.Errorf("%s is not written: its sectors have %d bytes, and the image's partition table counts in sectors of %d, so no "+
			"firmware would find what is on it; take a disk with sectors of %[3]d bytes, as USB sticks have", d.Path, d.Sector, image.Sector)
	case d.Size < image.Size:
		return fmt.Errorf("%s is not written: it has %s, the image %s (%d bytes more); take a larger one",
			d.Path, size(d.Size), size(image.Size), image.Size-d.Size)
	case !d.Removable && !force:
		return fmt.Errorf("%s is not written: it is not removable (%s); if you mean it, say --force", d.Path, d.describe())
	}
	return nil
}

// describe is what a person recognises a device by.
func (d Device) describe() string {
	parts := []string{size(d.Size)}
	if d.Model != "" {
		parts = append([]string{d.Model}, parts...)
	}
	if d.Serial != "" {
		parts = append(parts, "serial "+d.Serial)
	}
	return strings.Join(parts, ", ")
}

// content is what would be lost.
func (d Device) content() string {
	if len(d.Content) == 0 {
		return "nothing known"
	}
	return strings.Join(d.Content, ", ")
}
