package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/mkimage/archive"
)

// prebuiltBeside is where packages have the nodes' program, from the folder of the program that is running: /usr/bin and
// /usr/lib/boottorrent/nodes.
const prebuiltBeside = "../lib/boottorrent/nodes"

// Names of the files in its folder for an architecture: the part of the initramfs, compressed by xz, and what it is made of.
const (
	prebuiltStream = "commands.xz"
	prebuiltFacts  = "commands.json"
)

// Prebuilt is a nodes' program that was compiled when BootTorrent was packaged.
type Prebuilt struct {
	// Key is [commands.Plan]'s: whoever compiles the same sources with the same settings gets the same one.
	Key      string   `json:"key"`
	Commands Commands `json:"commands"`
	Part     *Part    `json:"part"`
}

// FindPrebuilt returns the folder of the nodes' programs that belong to the program that is running; empty if it was built in a source tree.
func FindPrebuilt() string {
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return ""
	}
	dir := filepath.Join(filepath.Dir(program), prebuiltBeside)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// readPrebuilt reads the one for an architecture; nil if there is none.
func readPrebuilt(dir string, a arch.Arch) (*Prebuilt, error) {
	dir = filepath.Join(dir, string(a))
	text, err := os.ReadFile(filepath.Join(dir, prebuiltFacts))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	again := "install the package boottorrent again, or compile it with --build"
	if err != nil {
		return nil, fmt.Errorf("read the nodes' program: %w; %s", err, again)
	}
	p := &Prebuilt{}
	if err := json.Unmarshal(text, p); err != nil || p.Part == nil {
		return nil, fmt.Errorf("read the nodes' program: %s is damaged (%v); %s", filepath.Join(dir, prebuiltFacts), err, again)
	}
	stream := filepath.Join(dir, prebuiltStream)
	if p.Part.stream, err = os.ReadFile(stream); err != nil {
		return nil, fmt.Errorf("read the nodes' program: %w; %s", err, again)
	}
	if hash(string(p.Part.stream)) != p.Part.SHA256 {
		return nil, fmt.Errorf("read the nodes' program: %s is damaged; %s", stream, again)
	}
	return p, nil
}

// Prebuild compiles the nodes' program for o.Arch and writes it for packages, into the folder dir/ARCH. Of the options it takes
// Arch, Level, Cache, Source, Release, Log and Watch.
func Prebuild(ctx context.Context, o Options, dir string) error {
	o.Build, o.Compress = true, archive.MethodXZ
	b, err := newBuild(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	part, err := b.compiledPart(ctx)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(Prebuilt{Key: b.plan.Key, Commands: b.commands(ctx), Part: part}, "", "  ")
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, string(b.Arch))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, prebuiltStream), part.stream, 0o644); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, prebuiltFacts), append(text, '\n'), 0o644)
}

// usesPrebuilt reads the program that came with this one, if it is to be taken or compared with.
func (b *build) usesPrebuilt() (err error) {
	if b.Prebuilt == "" {
		return nil
	}
	if b.prebuilt, err = readPrebuilt(b.Prebuilt, b.Arch); err != nil {
		return err
	}
	if b.prebuilt == nil && !b.Build {
		return fmt.Errorf("%s has no program for nodes of %s; install the package of this release that has, or compile it: --build --source DIR",
			b.Prebuilt, b.Arch)
	}
	return nil
}

// prebuiltPart is the part of the program that came with this one, compressed as the image is.
func (b *build) prebuiltPart(ctx context.Context) (*Part, error) {
	p := b.prebuilt.Part
	if b.Compress == archive.MethodXZ {
		return p, nil // the best there is, whatever level was asked for
	}
	key := hash("prebuilt", b.compressor.String(), p.SHA256)
	return b.cache.part(CommandsPart, key, func() (*Part, error) {
		content, err := unpackXZ(ctx, p.stream)
		if err != nil {
			return nil, fmt.Errorf("unpack the nodes' program: %w", err)
		}
		again := *p
		if err := b.step("compress the commands", func() error {
			again.stream, err = b.compressor.Compress(ctx, content)
			return err
		}); err != nil {
			return nil, fmt.Errorf("compress the nodes' program: %w", err)
		}
		again.Size, again.SHA256 = int64(len(again.stream)), hash(string(again.stream))
		again.Files = nil
		for _, f := range p.Files {
			f.Share = f.Share * again.Size / max(p.Size, 1)
			again.Files = append(again.Files, f)
		}
		return &again, nil
	})
}

// unpackXZ needs the tool xz, as the stream's filter for code of x86 is not in Go's library.
func unpackXZ(ctx context.Context, stream []byte) ([]byte, error) {
	tool, err := exec.LookPath("xz")
	if err != nil {
		return nil, fmt.Errorf("%w; apt-get install xz-utils, or leave --compress out", err)
	}
	cmd := exec.CommandContext(ctx, tool, "--decompress", "--stdout")
	cmd.Stdin = bytes.NewReader(stream)
	return cmd.Output()
}

// compareWithPrebuilt says whether what is compiled is what came with this program.
func (b *build) compareWithPrebuilt(ctx context.Context) {
	if b.prebuilt == nil {
		return
	}
	installed, compiled := b.prebuilt.Commands, b.commands(ctx)
	if b.prebuilt.Key == b.plan.Key {
		b.Log.Info("the source is the one of the installed program, and so is what is compiled of it", "release", installed.Release)
		return
	}
	b.Log.Warn("what is compiled differs from the installed program of the nodes",
		"installed", installed.describe(), "compiled", compiled.describe(), "source", b.Source)
}

// describe names a program by release, commit and compiler.
func (c Commands) describe() string {
	return fmt.Sprintf("%s (%.12s, %s)", c.Release, c.Revision, c.Go)
}
