package commands

import (
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// A pattern that matches no package of the node's program is one of a package that was renamed or is gone.
func TestInlinedPackagesAreInTheProgram(t *testing.T) {
	packages, err := goList(t.Context(), "../..", arch.AMD64, append([]string{own}, fromURoot...))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range inlined {
		folder, below := strings.CutSuffix(pattern, "/...")
		if !slices.ContainsFunc(packages, func(p listed) bool {
			return p.ImportPath == folder || below && strings.HasPrefix(p.ImportPath, folder+"/")
		}) {
			t.Errorf("no package of the node's program matches %s", pattern)
		}
	}
}

// The flag that forbids inlining comes first: the last one that matches a package counts.
func TestInliningFlags(t *testing.T) {
	flags, _ := Compiler(arch.AMD64, "")
	all := slices.Index(flags, "-gcflags=all=-l")
	torrent := slices.Index(flags, "-gcflags="+library+"=")
	if all < 0 || torrent < all {
		t.Errorf("flags %q: want all=-l, and the library's pattern behind it", flags)
	}
}
