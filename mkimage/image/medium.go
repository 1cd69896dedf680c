package image

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
	"github.com/boottorrent/boottorrent/internal/mediumseen"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/media"
	mediafiles "github.com/boottorrent/boottorrent/templates/media"
)

// Format is a kind of medium.
type Format string

// The formats, as they are named on the command line.
const (
	// USB is the image of a disk, ISO that of a CD, which starts from a disk as well.
	USB Format = "usb"
	ISO Format = "iso"
)

// Names of media in DIR/image/.
var mediumFiles = map[Format]string{USB: "boottorrent.img", ISO: "boottorrent.iso"}

// mediumLabel is the name of a medium's file system.
const mediumLabel = "BOOTTORRENT"

// Medium says which medium to make.
type Medium struct {
	Format Format
	// Config is the file that becomes the boottorrent.conf on it; if empty it gets one in which nothing is set.
	Config string
	// Path is the file to write; in DIR/image/ if empty.
	Path string
}

// MadeMedium is a medium that was made.
type MadeMedium struct {
	Path string
	// Size is in bytes.
	Size int64
	// Volume is the serial number of its FAT file system, made of all that is on it.
	Volume uint32
}

// medium is one in the making.
type medium struct {
	Medium
	conf []byte
	stub []byte
	// grub makes the way for BIOS; nil for machines that have none.
	grub *media.GRUB
	temp string
	made MadeMedium
}

// BuildMedium builds the image of o.Site as [Build] does, and a medium to start it from. What it lacks for that it says before
// anything is built or written. The same inputs give the same bytes.
func BuildMedium(ctx context.Context, o Options, want Medium) (*Manifest, MadeMedium, error) {
	b, err := newBuild(ctx, o)
	if err != nil {
		return nil, MadeMedium{}, err
	}
	defer b.close()
	if b.medium, err = b.newMedium(ctx, want); err != nil {
		return nil, MadeMedium{}, err
	}
	m, err := b.run(ctx)
	return m, b.medium.made, err
}

// newMedium checks all that can be checked before.
func (b *build) newMedium(ctx context.Context, want Medium) (*medium, error) {
	name, ok := mediumFiles[want.Format]
	if !ok {
		return nil, &OptionError{fmt.Sprintf("there is no medium %q: choose %s or %s", want.Format, USB, ISO)}
	}
	if want.Path == "" {
		want.Path = filepath.Join(b.folder(), name)
	}
	if info, err := os.Stat(want.Path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file; write the medium to one, and that onto a device by: "+self.Mkimage()+" flash FILE", want.Path)
	}
	conf, err := readConfig(want.Config)
	if err != nil {
		return nil, err
	}
	m := &medium{Medium: want, conf: conf}
	if m.temp, err = b.tempDir(); err != nil {
		return nil, err
	}
	if m.stub, err = b.stub(ctx); err != nil {
		return nil, err
	}
	if b.Arch == arch.AMD64 {
		if m.grub, err = media.NewGRUB(m.temp); err != nil {
			return nil, err
		}
	}
	if want.Format == ISO {
		return m, media.CheckISO()
	}
	return m, nil
}

// readConfig reads the text for the medium and has it checked by who will read it there.
func readConfig(path string) ([]byte, error) {
	if path == "" {
		return mediafiles.Config(), nil
	}
	conf, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the medium's configuration: %w", err)
	}
	if len(conf) > mediumconf.MaxSize {
		return nil, fmt.Errorf("%s has %d bytes, %d at most are read on a medium; is it the right file?", path, len(conf), mediumconf.MaxSize)
	}
	_, problems := mediumconf.Parse(conf)
	if len(problems) == 0 {
		return conf, nil
	}
	text := "the medium's configuration is wrong; nothing was written"
	for _, p := range problems {
		text += fmt.Sprintf("\n%s:%d: %s: %s; %s", path, p.Line, p.Text, p.What, p.Do)
	}
	return nil, errors.New(text)
}

// writeMedium makes the medium of the parts of its initramfs.
func (b *build) writeMedium(ctx context.Context, parts []*Part) error {
	m := b.medium
	c, err := b.contents(ctx, join(parts))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.Path), 0o755); err != nil {
		return fmt.Errorf("write the medium: %w", err)
	}
	if m.Format == ISO {
		err = m.writeISO(ctx, c)
	} else {
		err = m.writeDisk(ctx, c)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(m.Path)
	if err != nil {
		return fmt.Errorf("write the medium: %w", err)
	}
	m.made = MadeMedium{Path: m.Path, Size: info.Size(), Volume: c.Volume}
	return nil
}

// contents are what is on the medium: the UEFI program where the site signs it, else shim and GRUB with kernel and initramfs, and the
// program, unsigned, where these are missing.
func (b *build) contents(ctx context.Context, initramfs []byte) (c media.Contents, err error) {
	m := b.medium
	c = media.Contents{Arch: b.Arch, Label: mediumLabel, Graphics: b.site.CmdlineFor(b.Arch).AsksForMode()}
	if c.Files, err = m.files(b.Site); err != nil {
		return c, err
	}
	if b.key == nil {
		if c.Chain, err = b.chain(ctx, initramfs); ctx.Err() != nil {
			return c, err
		}
		if err != nil {
			b.Log.Warn("the medium starts no machine on which Secure Boot is on", "because", err)
		}
	}
	im, err := b.ukiImage(m.stub, initramfs, b.cmdline())
	if err != nil {
		return c, err
	}
	c.Volume = m.volume(im, c)
	im.Cmdline += fmt.Sprintf(" %s=%08x", mediumconf.Argument, c.Volume)
	c.Cmdline = im.Cmdline
	if c.Chain != nil {
		return c, nil
	}
	if c.UKI, c.Sections, err = uki.Build(im); err != nil {
		return c, err
	}
	c.UKI, err = b.sign(UKIFile, c.UKI)
	return c, err
}

// files are those for people: boottorrent.conf, boottorrent.seen on what can be written to, and db's certificate where the site has keys of its own, for
// the menus that enrol it.
func (m *medium) files(dir string) ([]fat.File, error) {
	files := []fat.File{{Path: mediumconf.Name, Data: m.conf}}
	if m.Format == USB {
		files = append(files, fat.File{Path: mediumseen.Name, Data: mediumseen.Blank()}) // a disc can't be written to
	}
	der, err := os.ReadFile(filepath.Join(dir, site.KeysDir, site.DBCertificateDER))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return files, nil
	}
	return append(files, fat.File{Path: site.DBCertificateDER, Data: der}), err
}

// volume is the serial number for a medium with this image and these files, never 0.
func (m *medium) volume(im uki.Image, c media.Contents) uint32 {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q %q %q ", m.Format, im.Cmdline, im.Release, im.OSRelease)
	parts := [][]byte{im.Stub, im.Kernel, im.Initrd}
	if c.Chain != nil {
		parts = append(parts, c.Chain.Shim, c.Chain.GRUB, c.Chain.MokManager)
	}
	for _, f := range c.Files {
		parts = append(parts, f.Data)
	}
	for _, part := range parts {
		fmt.Fprintf(h, "%x", sha256.Sum256(part))
	}
	return max(1, binary.LittleEndian.Uint32(h.Sum(nil)))
}

func (m *medium) writeDisk(ctx context.Context, c media.Contents) error {
	disk, err := c.Disk(ctx, m.grub)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(m.Path, disk, 0o644); err != nil {
		return fmt.Errorf("write the medium: %w", err)
	}
	return nil
}

// writeISO has the image written beside its place and moves it there.
func (m *medium) writeISO(ctx context.Context, c media.Contents) (err error) {
	f, err := atomicfile.Begin(m.Path, 0o644)
	if err != nil {
		return fmt.Errorf("write the medium: %w", err)
	}
	defer func() { err = errors.Join(err, f.Cleanup()) }() // nothing for what was moved
	if err := c.ISO(ctx, m.grub, m.temp, f.Name()); err != nil {
		return err
	}
	if err := atomicfile.Finish(m.Path, f); err != nil {
		return fmt.Errorf("write the medium: %w", err)
	}
	return nil
}
