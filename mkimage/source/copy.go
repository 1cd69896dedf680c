package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// copyChunk is how many bytes are copied between looks at whether somebody interrupted it.
const copyChunk = 4 << 20

// CopyFile makes a file of a system: size bytes of r, as a step with a progress bar. Fewer bytes are an error. name may have folders in it.
// from says where it comes from, for the table; empty: it is not in it.
func (j *Job) CopyFile(ctx context.Context, s *System, name string, r io.Reader, size int64, from string) error {
	if err := j.Copy(ctx, "copy "+name, r, size, s.Path(name)); err != nil {
		return err
	}
	if from != "" {
		s.Made(name, from)
	}
	return nil
}

// Copy is CopyFile to any path, which must not be there yet.
func (j *Job) Copy(ctx context.Context, stepName string, r io.Reader, size int64, path string) (err error) {
	if err := j.NeedSpace(size); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	step := j.Step(stepName, size)
	defer step.End()
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(f, r, min(copyChunk, size-done)) // between files the kernel copies, or shares the blocks
		done += n
		step.Set(done)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s is cut off: %d bytes of %d are there; get the source again", filepath.Base(path), done, size)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", stepName, err)
		}
	}
	return nil
}
