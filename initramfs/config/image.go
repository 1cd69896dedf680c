package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// ReadImage reads the site's part of the image, usually from [sitepart.Path]. The error says how to build an image that
// has one.
func ReadImage(path string) (sitepart.Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sitepart.Config{}, fmt.Errorf("this image has no site part (%w): build it with mkimage DIR, where DIR is the site", err)
	}
	if err != nil {
		return sitepart.Config{}, fmt.Errorf("read the site part of this image: %w", err)
	}
	var img sitepart.Config
	if err := json.Unmarshal(b, &img); err != nil {
		return sitepart.Config{}, fmt.Errorf("the site part of this image, %s, is damaged (%w): build it again with mkimage DIR", path, err)
	}
	if img.PublicKey == "" {
		return sitepart.Config{}, fmt.Errorf("the site part of this image, %s, has no public key, so no catalog can be trusted: "+
			"build it again with mkimage DIR", path)
	}
	return img, nil
}
