// Package source makes systems for a site of what people have: live and installer ISOs, container images, disks, folders. In goes a
// source as a person writes it and the folder DIR/oss/NAME; out comes that folder, whole, with a config.yaml.
//
// Each kind of source is one [Kind]. Package kinds lists them all; what is common to them is here: the source is opened and its
// beginning read, the kinds are asked in order whether it is theirs, one fills a staging folder, and what it made is checked as
// the seeder will and moved into place. A site that is being served never shows anything half-made: the staging folder's name begins
// with a dot.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/boottorrent/boottorrent/internal/program"
)

// Kind is one kind of source.
type Kind interface {
	// Name says what a source of this kind is, such as "live ISO". How that may be written or packed stands in parentheses behind it.
	Name() string
	// Example is for --help and the documentation.
	Example() Example
	// Recognise reports whether a source is of this kind. It goes by the content, never by the name alone. An error means that it
	// is of this kind, or can't be of any other, and can't be imported; it says why.
	Recognise(ctx context.Context, s *Source) (bool, error)
	// Import makes the system, or several: it calls [Job.NewSystem] for each and fills what that returns.
	Import(ctx context.Context, j *Job) error
}

// short is a kind's name without what stands in parentheses behind it.
func short(k Kind) string {
	name, _, _ := strings.Cut(k.Name(), " (")
	return name
}

// Example is a source that a person may have, and what becomes of it.
type Example struct {
	// Source is the argument as it is written on the command line, with options behind it if there are any.
	Source string
	// Becomes is one sentence without a full stop.
	Becomes string
}

// Source is what a person wants to import.
type Source struct {
	// Text is what the person wrote.
	Text string
	// Path is the file or folder of that name; empty if there is none.
	Path string
	// Info is of Path, links followed; nil if there is none. Size is in bytes, of a block device as well.
	Info fs.FileInfo
	Size int64
	// Head is the beginning of a file or block device, at most HeadSize bytes.
	Head []byte
}

// HeadSize is how many bytes of a file kinds see without opening it: ext4, ISO 9660 and erofs have their superblocks within.
const HeadSize = 68 << 10

// Open looks at what a person wrote. A name that is no file is no error: it may be an image in a registry.
func Open(text string) (*Source, error) {
	s := &Source{Text: text}
	if text == "" {
		return nil, errors.New("the source is empty; name a file, a folder or a container image")
	}
	info, err := os.Stat(text)
	switch {
	case errors.Is(err, fs.ErrNotExist), err != nil && strings.Contains(text, ":"):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("open the source: %w", err)
	}
	s.Path, s.Info, s.Size = text, info, info.Size()
	if info.IsDir() {
		return s, nil
	}
	if !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeDevice {
		return nil, fmt.Errorf("%s is neither a file, a disk nor a folder; name what the system is in", text)
	}
	f, err := os.Open(text)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w; make it readable for this user", err)
	}
	defer f.Close()
	if s.Head, err = io.ReadAll(io.LimitReader(f, HeadSize)); err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	if info.Mode().Type() == fs.ModeDevice {
		if s.Size, err = f.Seek(0, io.SeekEnd); err != nil {
			return nil, fmt.Errorf("read the size of %s: %w", text, err)
		}
	}
	return s, nil
}

// IsFile reports whether the source is a file or a block device, and IsFolder whether it is a folder.
func (s *Source) IsFile() bool { return s.Info != nil && !s.Info.IsDir() }

// IsFolder reports whether the source is a folder.
func (s *Source) IsFolder() bool { return s.Info != nil && s.Info.IsDir() }

// recognise finds the kind of a source.
func recognise(ctx context.Context, s *Source, kinds []Kind) (Kind, error) {
	for _, k := range kinds {
		is, err := k.Recognise(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Text, err)
		}
		if is {
			return k, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name())
	}
	if s.Info == nil {
		return nil, fmt.Errorf("there is no file or folder %s here; give its path, or a container image as HOST/NAME:TAG", s.Text)
	}
	return nil, fmt.Errorf("%s %s, which can't be imported; what can: %s", s.Text, s.seems(), strings.Join(names, ", "))
}

// seems says what a source is that nobody recognised.
func (s *Source) seems() string {
	if s.IsFolder() {
		return "is a folder without a root file system"
	}
	f := program.Identify(s.Head[:min(len(s.Head), program.HeadSize)])
	return "is " + f.What
}
