package catalog

import (
	"strings"
	"testing"
)

func TestRootValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Root)
		want   string // in the error; empty: there is none
	}{
		"as it is":                 {func(*Root) {}, ""},
		"without a boot part":      {func(r *Root) { r.Boot = nil }, ""},
		"read-only":                {func(r *Root) { r.Writable = WritableNone }, ""},
		"a share":                  {func(r *Root) { r.WritableLimit = Share{Percent: 50} }, ""},
		"no images":                {func(r *Root) { r.Images = nil }, "0 root images"},
		"too many images":          {func(r *Root) { r.Images = make([]RootImage, MaxLayers+1) }, "65 root images"},
		"another file system":      {func(r *Root) { r.Images[0].FS = "btrfs" }, `"btrfs"`},
		"an image outside":         {func(r *Root) { r.Images[0].Path = "../x" }, `"../x"`},
		"a kernel outside":         {func(r *Root) { r.Boot.Kernel = "/x" }, `"/x"`},
		"modules outside":          {func(r *Root) { r.Boot.Modules = "" }, "the path"},
		"no hash":                  {func(r *Root) { r.Boot.KernelSHA256 = "" }, "SHA-256 of its kernel"},
		"a boot part with a slash": {func(r *Root) { r.Boot.Part = "a/b" }, `"a/b"`},
		"a relative init":          {func(r *Root) { r.Init = "sbin/init" }, `init "sbin/init"`},
		"init that climbs":         {func(r *Root) { r.Init = "/../init" }, "/../init"},
		"another word":             {func(r *Root) { r.Writable = "disk" }, `"disk"`},
		"two limits":               {func(r *Root) { r.WritableLimit = Share{Bytes: 1, Percent: 1} }, "1 bytes and 1 %"},
		"more than all":            {func(r *Root) { r.WritableLimit = Share{Percent: 101} }, "101 %"},
		"a long command line":      {func(r *Root) { r.Cmdline = strings.Repeat("a", MaxRootCmdline+1) }, "the command line has"},
	} {
		s, _ := rootSystem("one")
		c.change(s.Launch.Root)
		switch err := s.Validate(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A system whose boot part is not in the catalog can't be started.
func TestRootWithoutItsBootPart(t *testing.T) {
	s, part := rootSystem("one")
	c := &Catalog{Version: Version, Site: "s", Systems: []System{s}}
	if _, err := c.Encode(); err == nil || !strings.Contains(err.Error(), `the boot part "one@boot", which is not in the list`) {
		t.Error(err)
	}
	c.Runtimes = []Runtime{part}
	mustEncode(t, c)
	if !IsBootPart(part.Name) || IsBootPart(s.Name) {
		t.Errorf("%s and %s", part.Name, s.Name)
	}
}

func TestShare(t *testing.T) {
	const gib = 1 << 30
	for share, want := range map[Share]int64{{}: 0, {Percent: 50}: 4 * gib / 100 * 50, {Bytes: gib}: gib} {
		if got := share.Of(4 * gib); got != want {
			t.Errorf("%+v of 4 GiB: %d, want %d", share, got, want)
		}
	}
}

// What a machine must have is enough for images, system and what may be written, and not more than that.
func TestRootMemory(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		root Root
		want int64
	}{
		{Root{Writable: WritableNone}, 400 * mib},
		{Root{Writable: WritableRAM}, 464 * mib},
		{Root{Writable: WritableRAM, WritableLimit: Share{Bytes: 1024 * mib}}, 1424 * mib},
		{Root{Writable: WritableRAM, WritableLimit: Share{Percent: 50}}, 800 * mib},
		{Root{Writable: WritableRAM, WritableLimit: Share{Percent: 90}}, 4000 * mib},
	} {
		got := c.root.Memory(200 * mib)
		if got != c.want {
			t.Errorf("%+v needs %d MiB, want %d", c.root, got/mib, c.want/mib)
		}
	}
}
