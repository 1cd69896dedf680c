package source

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTargets(t *testing.T) {
	dir, o := newSite(t)
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "oss", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "oss", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	for _, c := range []struct{ source, target, says string }{
		{o.Source, dir, "is a site; name the system's folder in it"},
		{o.Source, filepath.Join(dir, "oss"), "has the systems of a site; name the new one's folder in it"},
		{o.Source, filepath.Join(dir, "x"), "is not in the folder oss of a site"},
		{o.Source, filepath.Join(t.TempDir(), "oss", "x"), "is not in the folder oss of a site; name it DIR/oss/NAME, where DIR was made by: seeder init DIR"},
		{o.Source, filepath.Join(dir, "oss", ".x"), `the name ".x" can't be a system's`},
		{o.Source, filepath.Join(dir, "oss", "a b"), "can't be a system's"},
		{o.Source, filepath.Join(dir, "oss", "link"), "is a symbolic link"},
		{o.Source, filepath.Join(dir, "oss", "file"), "is a file"},
		{o.Source + "x", o.Target, "there is no file or folder"},
		{"", o.Target, "the source is empty"},
		{"/dev/null", o.Target, "is neither a file, a disk nor a folder"},
		{filepath.Join(dir, "boottorrent.yaml"), o.Target, "which can't be imported; what can: fake"},
		{dir, o.Target, "has the site in it"},
		{t.TempDir(), o.Target, "is a folder without a root file system, which can't be imported"},
	} {
		o := o
		o.Source, o.Target, o.Replace = c.source, c.target, true
		_, err := Import(t.Context(), o, []Kind{fake{}})
		checkSays(t, err, c.says)
	}
	if after := state(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	t.Chdir(filepath.Join(dir, "oss"))
	o.Target = "here"
	r, err := Import(t.Context(), o, []Kind{fake{}})
	if err != nil || r.Systems[0].Dir != "here" {
		t.Errorf("%+v, %v", r, err)
	}
}
