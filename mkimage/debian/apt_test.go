package debian

import (
	"regexp"
	"strings"
	"testing"
)

// kernelOf is what package kernel wants.
func kernelOf(architecture string) Wanted {
	return Wanted{Name: "linux-image-" + architecture, Dependency: regexp.MustCompile("^linux-image-[0-9]"), Instead: "give a kernel with --kernel FILE"}
}

// checkError checks that an error has want in it, or that there is none.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Error(err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, show string
		want       version
		wrong      string
	}{
		{
			name: "Debian 12",
			show: "Package: linux-image-amd64\nProvides: linux-image-generic\nDepends: linux-image-6.1.0-37-amd64 (= 6.1.140-1)\nSize: 1480\n",
			want: version{"linux-image-6.1.0-37-amd64", "6.1.140-1"},
		},
		{
			name: "among others, with an epoch",
			show: "Depends: initramfs-tools | linux-initramfs-tool, linux-image-6.12.9+bpo-amd64 (= 1:6.12.9-1~bpo12+1), kmod\n",
			want: version{"linux-image-6.12.9+bpo-amd64", "1:6.12.9-1~bpo12+1"},
		},
		{name: "none", show: "Depends: kmod\n", wrong: "depends on no package that matches"},
		{name: "an option in disguise", show: "Depends: linux-image-6 --force (= 1)\n", wrong: "depends on no package that matches"},
		{name: "empty", wrong: "--kernel FILE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(kernelOf("amd64"), c.show)
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			checkError(t, err, c.wrong)
		})
	}
}
