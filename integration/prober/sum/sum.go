// Package sum adds up the files of a folder, on the side that makes them and on the node that fetched them.
package sum

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
)

// Of returns how many regular files there are, and a SHA-256 over their paths, sizes and contents, in hexadecimal digits.
func Of(fsys fs.FS) (files int, sum string, err error) {
	h := sha256.New()
	err = fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(fsys, path)
		files++
		fmt.Fprintf(h, "%q %d\n%s", path, len(content), content)
		return err
	})
	return files, hex.EncodeToString(h.Sum(nil)), err
}
