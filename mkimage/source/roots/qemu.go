package roots

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/mkimage/source"
)

// linuxKinds are the types of partitions that Linux may be on, by MBR's numbers and GPT's GUIDs (uapi-group.org, Discoverable Partitions):
// Linux, LVM and its GPT type, extended partitions, Linux root for x86-64, and Linux' generic type; LUKS.
var linuxKinds = []string{
	"83", "8E", "5", "F", "85", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "E6D6D379-F507-44C2-A23C-238F2A3DF928",
	"4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "CA7D7CCB-63ED-4C53-861C-1742536059CC", "8484680C-9521-48C6-9C11-B0720656F69E",
}

// beginsLikeLinux reports whether the disk in an image for virtual machines may have Linux: by its partition table, or by what is in its
// first bytes if it has none.
func beginsLikeLinux(ctx context.Context, path, format string) (bool, error) {
	size, err := inspect(ctx, path, format)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mkimage-disk-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	begin := filepath.Join(dir, "begin")
	if err := qemuImg(ctx, nil, "dd", "-f", format, "-O", raw, "bs=1M", "count=2", "if="+path, "of="+begin); err != nil {
		return false, err
	}
	if err := os.Truncate(begin, size); err != nil { // the table names places behind what is there
		return false, err
	}
	parts, err := partitionTable(ctx, begin)
	if err != nil {
		return false, err
	}
	if len(parts) > 0 {
		return slices.ContainsFunc(parts, func(p partition) bool { return slices.Contains(linuxKinds, p.kind) }), nil
	}
	whole, err := partitions(ctx, begin, size)
	return slices.ContainsFunc(whole, partition.mayBeLinux), err
}

// inspect asks qemu-img for the size of a disk in bytes. An image that leads to files elsewhere is refused: what is in them would
// become a part of the system.
func inspect(ctx context.Context, path, format string) (int64, error) {
	var out bytes.Buffer
	if err := qemuImg(ctx, &out, "info", "-f", format, "--output=json", path); err != nil {
		return 0, err
	}
	var info struct {
		VirtualSize int64  `json:"virtual-size"`
		Backing     string `json:"backing-filename"`
		Specific    struct {
			Data struct {
				DataFile string `json:"data-file"`
				Extents  []struct{ Filename string }
			}
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(out.Bytes(), &info); err != nil {
		return 0, fmt.Errorf("qemu-img info: %w", err)
	}
	elsewhere := []string{info.Backing, info.Specific.Data.DataFile}
	for _, e := range info.Specific.Data.Extents {
		if filepath.Clean(e.Filename) != filepath.Clean(path) {
			elsewhere = append(elsewhere, e.Filename)
		}
	}
	for _, e := range elsewhere {
		if e != "" {
			return 0, fmt.Errorf("the disk is in %s besides; make one file of it first: qemu-img convert -O qcow2 %s FILE", strconv.Quote(e), path)
		}
	}
	const most = 16 << 40
	if info.VirtualSize <= 0 || info.VirtualSize > most {
		return 0, fmt.Errorf("the disk is said to have %d bytes", info.VirtualSize)
	}
	return info.VirtualSize, check(ctx, path, format)
}

// check refuses an image that was cut off or is damaged, as far as its format has what qemu-img can tell that by.
func check(ctx context.Context, path, format string) error {
	const leaks, unsupported = 3, 63 // exit codes (qemu-img(1)): room is lost, but nothing of the disk; this format has no checks
	err := qemuImg(ctx, io.Discard, "check", "-q", "-f", format, path)
	var exit *exec.ExitError
	switch {
	case err == nil, errors.As(err, &exit) && (exit.ExitCode() == leaks || exit.ExitCode() == unsupported):
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("the %s disk was cut off or is damaged; copy it again, or see what is wrong with: qemu-img check %s", format, shellquote.Join(path))
	}
	return err
}

// convert makes a raw disk of an image for virtual machines. It has holes where the disk has nothing.
func convert(ctx context.Context, j *source.Job, format string) (string, int64, error) {
	size, err := inspect(ctx, j.Path, format)
	if err != nil {
		return "", 0, err
	}
	step := j.Step("read the "+format+" disk", size)
	defer step.End()
	path := filepath.Join(j.Temp, "disk.raw")
	progress := percent(func(share float64) { step.Set(int64(share * float64(size))) })
	return path, size, qemuImg(ctx, progress, "convert", "-p", "-f", format, "-O", raw, j.Path, path)
}

// percent hears what qemu-img -p prints: (12.34/100%).
type percent func(share float64)

func (f percent) Write(b []byte) (int, error) {
	words := bufio.NewScanner(bytes.NewReader(b))
	words.Split(bufio.ScanWords)
	for words.Scan() {
		number, found := strings.CutSuffix(strings.TrimPrefix(words.Text(), "("), "/100%)")
		if p, err := strconv.ParseFloat(number, 64); found && err == nil {
			f(p / 100)
		}
	}
	return len(b), nil
}

// qemuImg runs qemu-img.
func qemuImg(ctx context.Context, out io.Writer, args ...string) error {
	var messages bytes.Buffer
	cmd := exec.CommandContext(ctx, "qemu-img", args...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = out, &messages
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("the program qemu-img is needed and not installed; install the package qemu-utils")
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("qemu-img %s: %w: %s", args[0], err, strings.TrimSpace(messages.String()))
	}
	return nil
}
