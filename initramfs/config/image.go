package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ReadImage reads the site's part of the image, usually from [ImagePath]. The error says how to build an image that
// has one.
func ReadImage(path string) (Image, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, fmt.Errorf("this image has no site part (%w): build it with mkimage DIR, where DIR is the site", err)
	}
	if err != nil {
		return Image{}, fmt.Errorf("read the site part of this image: %w", err)
	}
	var img Image
	if err := json.Unmarshal(b, &img); err != nil {
		return Image{}, fmt.Errorf("the site part of this image, %s, is damaged (%w): build it again with mkimage DIR", path, err)
	}
	if img.PublicKey == "" {
		return Image{}, fmt.Errorf("the site part of this image, %s, has no public key, so no catalog can be trusted: "+
			"build it again with mkimage DIR", path)
	}
	return img, nil
}
