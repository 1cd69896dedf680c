package tree

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// ext4View is an ext4 image that nobody may mount: debugfs reads it.
type ext4View struct {
	image, scratch string
	inodes         map[string]uint64
}

// rootInode is that of the root folder (Linux, EXT4_ROOT_INO).
const rootInode = 2

func newExt4View(image, scratch string) *ext4View {
	return &ext4View{image, scratch, map[string]uint64{}}
}

func (v *ext4View) Close() error { return nil }

// list reads the folders level by level, with one run of debugfs for each.
func (v *ext4View) list(ctx context.Context) (*Tree, error) {
	t := newTree(Limits{Bytes: 1 << 62})
	seen := map[uint64]bool{rootInode: true}
	links := map[uint64][]*Node{}
	for level := []string{"."}; len(level) > 0; {
		var next []string
		err := v.folders(ctx, level, func(name string, e ext4Entry) error {
			if e.mode.IsDir() {
				if seen[e.inode] {
					return fmt.Errorf("the folder %s is in two places: the image is damaged; check it with e2fsck", name)
				}
				seen[e.inode] = true
				next = append(next, name)
			}
			n := folderNode()
			n.Mode, n.Size, n.Major = e.mode, e.size, 1 // no whiteout
			if e.mode.Type() == fs.ModeSymlink {
				n.Link = "?"
				links[e.inode] = append(links[e.inode], n)
			}
			v.inodes[name] = e.inode
			return t.add(name, n, 0)
		})
		if err != nil {
			return nil, err
		}
		level = next
	}
	return t, v.readLinks(ctx, links)
}

// ext4Entry is an entry of a folder.
type ext4Entry struct {
	inode uint64
	mode  fs.FileMode
	name  string
	size  int64
}

// folders calls f for the entries of folders with their whole names.
func (v *ext4View) folders(ctx context.Context, names []string, f func(string, ext4Entry) error) error {
	var commands []string
	for _, name := range names {
		inode := v.inodes[name]
		if name == "." {
			inode = rootInode
		}
		commands = append(commands, fmt.Sprintf("ls -p <%d>", inode))
	}
	return v.run(ctx, commands, func(command int, line string) error {
		e, is := parseExt4Entry(line)
		if !is || e.name == "." || e.name == ".." {
			return nil
		}
		return f(path.Join(names[command], e.name), e)
	})
}

// parseExt4Entry reads a line of debugfs's ls -p: /INODE/MODE/UID/GID/NAME/SIZE/, the mode in octal digits.
func parseExt4Entry(line string) (ext4Entry, bool) {
	fields := strings.Split(line, "/")
	if len(fields) != 8 {
		return ext4Entry{}, false
	}
	inode, err := strconv.ParseUint(fields[1], 10, 32)
	mode, err2 := strconv.ParseInt(fields[2], 8, 32)
	kind, known := ext4Types[mode>>12]
	if err != nil || err2 != nil || !known || inode == 0 {
		return ext4Entry{}, false
	}
	e := ext4Entry{inode: inode, mode: kind | fs.FileMode(mode&0o777), name: fields[5]}
	if kind == 0 {
		if e.size, err = strconv.ParseInt(fields[6], 10, 64); err != nil {
			return ext4Entry{}, false
		}
	}
	return e, true
}

// ext4Types are types of files by the upper four bits of their mode (inode(7)).
var ext4Types = map[int64]fs.FileMode{
	1: fs.ModeNamedPipe, 2: fs.ModeDevice | fs.ModeCharDevice, 4: fs.ModeDir, 6: fs.ModeDevice, 8: 0, 10: fs.ModeSymlink,
}

// readLinks fills in where symbolic links lead.
func (v *ext4View) readLinks(ctx context.Context, links map[uint64][]*Node) error {
	var inodes []uint64
	var commands []string
	for inode := range links {
		inodes = append(inodes, inode)
		commands = append(commands, fmt.Sprintf("stat <%d>", inode))
	}
	read := map[uint64]string{}
	err := v.run(ctx, commands, func(command int, line string) error {
		if target, is := strings.CutPrefix(line, `Fast link dest: "`); is {
			read[inodes[command]] = strings.TrimSuffix(target, `"`)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for inode, nodes := range links {
		target := read[inode]
		if target == "" { // it is long, and so in a block
			if target, err = v.content(ctx, inode); err != nil {
				return err
			}
		}
		for _, n := range nodes {
			n.Link = target
		}
	}
	return nil
}

// content is what is in an inode, at most as much as a path.
func (v *ext4View) content(ctx context.Context, inode uint64) (string, error) {
	out, err := output(ctx, "debugfs", "-R", fmt.Sprintf("cat <%d>", inode), v.image)
	if err != nil {
		return "", err
	}
	defer out.Close()
	b, err := io.ReadAll(io.LimitReader(out, maxPathLength+1))
	return string(b), err
}

// echo begins the lines in which debugfs repeats its commands.
const echo = "debugfs: "

// run has debugfs carry out commands, and calls f for each line that it prints, with the index of the command.
func (v *ext4View) run(ctx context.Context, commands []string, f func(command int, line string) error) error {
	script, err := os.CreateTemp(v.scratch, "commands-")
	if err != nil {
		return err
	}
	defer os.Remove(script.Name())
	_, err = io.WriteString(script, strings.Join(commands, "\n")+"\n")
	if err = errors.Join(err, script.Close()); err != nil || len(commands) == 0 {
		return err
	}
	out, err := output(ctx, "debugfs", "-f", script.Name(), v.image)
	if err != nil {
		return err
	}
	defer out.Close()
	lines := bufio.NewScanner(out)
	command := -1
	for lines.Scan() {
		line := lines.Text()
		if command+1 < len(commands) && line == echo+commands[command+1] {
			command++
			continue
		}
		if command < 0 {
			continue
		}
		if err := f(command, line); err != nil {
			return err
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("debugfs: %w", lines.Err())
	}
	if command+1 < len(commands) {
		return errors.New("debugfs did not read all of the image; check it with e2fsck")
	}
	return nil
}

// fetch has debugfs copy inodes: names within the image are not told to it.
func (v *ext4View) fetch(ctx context.Context, names []string, to string) error {
	var commands []string
	for _, name := range names {
		target := filepath.Join(to, filepath.FromSlash(name))
		if strings.ContainsAny(target, "\"\n\\") {
			return fmt.Errorf("the file %q has a name that debugfs can't be told; import the image as root", name)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		commands = append(commands, fmt.Sprintf("dump <%d> \"%s\"", v.inodes[name], target))
	}
	if err := v.run(ctx, commands, func(int, string) error { return nil }); err != nil {
		return err
	}
	return makeReadable(to)
}
