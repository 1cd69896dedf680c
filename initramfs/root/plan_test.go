package root

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// show writes a plan as mount(8) would be told.
func show(plan []mount) string {
	var b strings.Builder
	for _, m := range plan {
		fmt.Fprintf(&b, "%s %s on %s, %#x", m.fs, m.source, m.target, m.flags)
		if m.loop {
			b.WriteString(" loop")
		}
		if m.options != "" {
			b.WriteString(" " + m.options)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func images(names ...string) catalog.Root {
	r := catalog.Root{Init: "/sbin/init", Writable: catalog.WritableRAM}
	for _, n := range names {
		path, fs, _ := strings.Cut(n, "=")
		r.Images = append(r.Images, catalog.RootImage{Path: path, FS: fs})
	}
	return r
}

func TestPlans(t *testing.T) {
	// ro is MS_RDONLY|MS_NOSUID|MS_NODEV (mount(2)); 7 in hexadecimal.
	const run = "tmpfs tmpfs on /s/run, 0x1000006 mode=755,size=20%,nr_inodes=800k\n"
	for _, tt := range []struct {
		name     string
		root     catalog.Root
		readOnly bool
		modules  bool
		images   string
		want     string
	}{
		{
			name: "one image", root: images("a.squashfs=squashfs"),
			images: run + "squashfs /d/a.squashfs on /s/run/boottorrent/layers/0, 0x7 loop\n",
			want: "tmpfs tmpfs on /s/run/boottorrent/rw, 0x6 mode=700,size=4096\n" +
				"overlay overlay on /s/root, 0x0 lowerdir=/s/run/boottorrent/layers/0,upperdir=/s/run/boottorrent/rw/upper,workdir=/s/run/boottorrent/rw/work\n",
		},
		{
			name: "layers, the lowest first in the list and last in the option; names with a meaning in it", root: images("x:y,z.img=ext4", "sub/b=erofs"),
			modules: true,
			images: run + "ext4 /d/x:y,z.img on /s/run/boottorrent/layers/0, 0x7 loop noload\n" +
				"erofs /d/sub/b on /s/run/boottorrent/layers/1, 0x7 loop\n",
			want: "tmpfs tmpfs on /s/run/boottorrent/rw, 0x6 mode=700,size=4096\n" +
				"overlay overlay on /s/root, 0x0 lowerdir=/s/run/boottorrent/layers/1:/s/run/boottorrent/layers/0:/s/run/boottorrent/modules," +
				"upperdir=/s/run/boottorrent/rw/upper,workdir=/s/run/boottorrent/rw/work\n",
		},
		{
			name: "read-only, one image", root: images("a=erofs"), readOnly: true,
			images: run + "erofs /d/a on /s/run/boottorrent/layers/0, 0x7 loop\n",
			want:   " /s/run/boottorrent/layers/0 on /s/root, 0x1000\n  on /s/root, 0x1021\n",
		},
		{
			name: "read-only, one image that lacks modules", root: images("a=erofs"), readOnly: true, modules: true,
			images: run + "erofs /d/a on /s/run/boottorrent/layers/0, 0x7 loop\n",
			want:   "overlay overlay on /s/root, 0x1 lowerdir=/s/run/boottorrent/layers/0:/s/run/boottorrent/modules\n",
		},
		{
			name: "read-only layers", root: images("a=erofs", "b=erofs"), readOnly: true,
			images: run + "erofs /d/a on /s/run/boottorrent/layers/0, 0x7 loop\nerofs /d/b on /s/run/boottorrent/layers/1, 0x7 loop\n",
			want:   "overlay overlay on /s/root, 0x1 lowerdir=/s/run/boottorrent/layers/1:/s/run/boottorrent/layers/0\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.readOnly {
				tt.root.Writable = catalog.WritableNone
			}
			c := Config{Root: tt.root, Dir: "/d", Stage: "/s", Writable: 4096}
			if got := show(imagePlan(c)); got != tt.images {
				t.Errorf("images:\n%swant\n%s", got, tt.images)
			}
			if got := show(rootPlan(c, tt.modules)); got != tt.want {
				t.Errorf("root:\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// On a node, the options for as many layers as a catalog allows fit into the page that the kernel reads.
func TestMostLayersFit(t *testing.T) {
	c := Config{Root: images(slices.Repeat([]string{"a=squashfs"}, catalog.MaxLayers)...), Stage: Stage, Writable: 1 << 40}
	for _, m := range rootPlan(c, true) {
		if len(m.options) >= 4096 {
			t.Errorf("the options for %s have %d bytes", m.target, len(m.options))
		}
	}
}

func TestInitArguments(t *testing.T) {
	for cmdline, want := range map[string][]string{
		"":                                      nil,
		"console=ttyS0 quiet ro":                nil,
		"quiet single console=tty0":             {"single"},
		"3":                                     {"3"},
		"root=/dev/x 12 -- --log-level=debug a": {"--log-level=debug", "a"},
		"emergency --":                          {"emergency"},
		"a--b":                                  nil,
		`dyndbg="file a single -- +p" 1`:        {"1"},
		"quiet\t--\tsingle":                     {"single"},
	} {
		if got := initArguments(cmdline); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", cmdline, got, want)
		}
	}
}

// The kernel refuses longer ones, and a failure at that point would cost the boot.
func TestShortHostname(t *testing.T) {
	label := strings.Repeat("n", 63)
	for name, want := range map[string]string{
		"": "", "pc-7.room.example": "pc-7.room.example", label + "n": label + "n", label + ".x": label, label + "nn": "", label + "nn.example": "",
	} {
		if got := shortHostname(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
