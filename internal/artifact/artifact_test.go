package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func files() []catalog.File {
	return []catalog.File{
		{Path: "config.yaml", Size: 40, SHA256: strings.Repeat("a", 64)},
		{Path: "live/root.squashfs", Size: 1 << 33, SHA256: strings.Repeat("b", 64)},
	}
}

func TestEmpty(t *testing.T) {
	if sum := sha256.Sum256([]byte(Empty)); hex.EncodeToString(sum[:]) != EmptySHA256 {
		t.Errorf("%x", sum)
	}
}

func TestRoundTrip(t *testing.T) {
	body, err := Manifest{files()}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(body)
	if err != nil || !reflect.DeepEqual(again.Files, files()) {
		t.Errorf("%v, %v", again, err)
	}
}

func TestParseRefuses(t *testing.T) {
	edit := func(change func([]catalog.File) []catalog.File) string {
		body, err := Manifest{change(files())}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	good := edit(func(f []catalog.File) []catalog.File { return f })
	for says, body := range map[string]string{
		"no manifest of an artifact": "<html>",
		"no manifest with files":     "{}",
		"index of several images":    `{"schemaVersion":2,"manifests":[{}]}`,
		"have no names":              strings.ReplaceAll(good, titleKey, "other"),
		"to be unpacked":             strings.ReplaceAll(good, `"`+titleKey, `"`+unpackKey+`":"true","`+titleKey),
		"no SHA-256":                 strings.ReplaceAll(good, "sha256:bbbb", "sha512:bbbb"),
		"no name that a file":        strings.ReplaceAll(good, "live/root", "../root"),
		"twice":                      edit(func(f []catalog.File) []catalog.File { return append(f, f[1]) }),
		"which no node can have":     edit(func(f []catalog.File) []catalog.File { f[1].Size = -1; return f }),
		"it has no config.yaml":      edit(func(f []catalog.File) []catalog.File { return f[1:] }),
	} {
		if _, err := Parse([]byte(body)); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	body, err := Manifest{files()}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Parse(body)
		if err != nil {
			return
		}
		if len(m.Files) == 0 {
			t.Error("a manifest without files was taken")
		}
		for _, file := range m.Files {
			if err := catalog.CheckPath(file.Path); err != nil {
				t.Error(err)
			}
		}
	})
}
