// Package artifact is a system as one document in an archive of systems: an OCI image manifest (OCI image specification 1.1) whose layers
// are the system's files, as they are, and its config.yaml. seeder push writes it; a site that names its digest gets the system back. Each layer
// has the file's name in the annotation org.opencontainers.image.title, so that oras and other clients of registries bring the files as well.
package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
)

// Media types. Those of OCI are from its image specification.
const (
	MediaType      = "application/vnd.oci.image.manifest.v1+json"
	Type           = "application/vnd.boottorrent.system.v1"
	FileType       = "application/vnd.boottorrent.file.v1"
	emptyType      = "application/vnd.oci.empty.v1+json"
	titleKey       = "org.opencontainers.image.title"
	unpackKey      = "io.deis.oras.content.unpack"
	algorithm      = "sha256:"
	manifestSchema = 2
)

// MaxManifest is how long a manifest may be, in bytes: what registries take at most.
const MaxManifest = 4 << 20

// Empty is the configuration of every such manifest, which has none, and EmptySHA256 its SHA-256.
const (
	Empty       = "{}"
	EmptySHA256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
)

// ConfigFile is the file that says how the others are started.
const ConfigFile = "config.yaml"

// Manifest are the files of a system, its config.yaml among them, sorted by path.
type Manifest struct{ Files []catalog.File }

type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	ArtifactType  string       `json:"artifactType,omitempty"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
	// Manifests are there in an index, which is another document.
	Manifests []json.RawMessage `json:"manifests,omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Encode is the document, the same for the same files.
func (m Manifest) Encode() ([]byte, error) {
	d := document{SchemaVersion: manifestSchema, MediaType: MediaType, ArtifactType: Type, Layers: []descriptor{},
		Config: descriptor{MediaType: emptyType, Digest: algorithm + EmptySHA256, Size: int64(len(Empty))}}
	for _, f := range m.Files {
		d.Layers = append(d.Layers, descriptor{FileType, algorithm + f.SHA256, f.Size, map[string]string{titleKey: f.Path}})
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	if len(body) > MaxManifest {
		return nil, fmt.Errorf("the manifest of %d files has %d bytes, and registries take %d; put the files into an archive or a disk image", len(m.Files), len(body), MaxManifest)
	}
	return body, nil
}

// Parse reads a manifest, whose digest is right already. Errors say what is wrong and, behind a semicolon, what to do.
func Parse(body []byte) (m Manifest, err error) {
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return m, errors.New("it is no manifest of an artifact; give the digest that 'push' printed")
	}
	switch {
	case len(d.Manifests) > 0:
		return m, errors.New("it is an index of several images, not one system; import a container image with 'mkimage import'")
	case d.SchemaVersion != manifestSchema || len(d.Layers) == 0:
		return m, errors.New("it is no manifest with files; give the digest that 'push' printed")
	}
	for _, l := range d.Layers {
		title := l.Annotations[titleKey]
		switch {
		case title == "":
			return m, errors.New("its layers have no names, as those of a container image; import that with 'mkimage import', or put a system there with 'push'")
		case l.Annotations[unpackKey] != "":
			return m, fmt.Errorf("its layer %s is an archive to be unpacked; push the folder's files one by one, as 'push' does", title)
		}
		sum, ok := cutAlgorithm(l.Digest)
		if !ok {
			return m, fmt.Errorf("the digest of its layer %s is no SHA-256; put the system there with 'push'", title)
		}
		if err := catalog.CheckPath(title); err != nil {
			return m, fmt.Errorf("its layer %q has no name that a file can have; put the system there with 'push'", title)
		}
		m.Files = append(m.Files, catalog.File{Path: title, Size: l.Size, SHA256: sum})
	}
	return m, m.check()
}

// check reports what no system can have.
func (m Manifest) check() error {
	if len(m.Files) > catalog.MaxFiles+1 {
		return fmt.Errorf("it has %d files, and nodes read %d; put them into an archive or a disk image", len(m.Files), catalog.MaxFiles)
	}
	seen, size := map[string]bool{}, int64(0)
	for _, f := range m.Files {
		switch {
		case seen[f.Path]:
			return fmt.Errorf("it has %s twice; put the system there with 'push'", f.Path)
		case f.Size < 0 || f.Size > catalog.MaxSize-size:
			return fmt.Errorf("the size of %s is %d bytes, which no node can have; put the system there with 'push'", f.Path, f.Size)
		}
		seen[f.Path] = true
		size += f.Size
	}
	if !seen[ConfigFile] {
		return errors.New("it has no " + ConfigFile + ", which says how the files are started; put the system there with 'push'")
	}
	slices.SortFunc(m.Files, func(a, b catalog.File) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return nil
}

func cutAlgorithm(digest string) (string, bool) {
	if len(digest) <= len(algorithm) || digest[:len(algorithm)] != algorithm {
		return "", false
	}
	sum := digest[len(algorithm):]
	return sum, originurl.IsDigest(sum)
}
