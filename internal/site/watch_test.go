package site

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// TestWatch makes one change after the other, and waits for each to be told.
func TestWatch(t *testing.T) {
	const quiet = 50 * time.Millisecond
	dir := initSite(t, "")
	elsewhere := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	steps := []struct {
		name   string
		change func() error
	}{
		{"configuration", func() error { return os.WriteFile(file(ConfigFile), []byte("version: 1\n"), 0o644) }},
		{"the original's configuration", func() error { return os.WriteFile(file(OriginalFile), []byte("boottorrent:\n"), 0o644) }},
		{"new folders", func() error { return os.MkdirAll(file("oss/one/sub/deep"), 0o755) }},
		{"file in a new folder", func() error { return os.WriteFile(file("oss/one/sub/deep/file"), []byte("1"), 0o644) }},
		{"file overwritten", func() error { return os.WriteFile(file("oss/one/sub/deep/file"), []byte("2"), 0o644) }},
		{"folder elsewhere", func() error { return os.Symlink(elsewhere, file("oss/two")) }},
		{"file elsewhere", func() error { return os.WriteFile(filepath.Join(elsewhere, "file"), []byte("1"), 0o644) }},
		{"folder renamed", func() error { return os.Rename(file("oss/one"), file("oss/three")) }},
		{"file in the renamed folder", func() error { return os.WriteFile(file("oss/three/sub/deep/file"), []byte("3"), 0o644) }},
		{"folder removed", func() error { return os.RemoveAll(file("oss/three")) }},
		{"all systems moved away", func() error { return os.Rename(file("oss"), file("away")) }},
		{"and made again", func() error { return os.MkdirAll(file("oss/four"), 0o755) }},
		{"file in that", func() error { return os.WriteFile(file("oss/four/file"), []byte("1"), 0o644) }},
		{"the image's folder", func() error { return os.Mkdir(file(ImageDir), 0o755) }},
		{"modules for the runtime", func() error { return os.WriteFile(file("image/"+qemuruntime.ImageModules), []byte("1"), 0o644) }},
		{"mkimage's way to replace them", func() error {
			return errors.Join(os.WriteFile(file("image/.new"), []byte("2"), 0o644), os.Rename(file("image/.new"), file("image/"+qemuruntime.ImageModules)))
		}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() { ended <- watch(ctx, dir, quiet, func() { changes <- struct{}{} }) }()
	awaitWatch(t, dir, quiet, changes)
	for _, step := range steps {
		for len(changes) > 0 { // a machine under load may take longer than quiet for one step
			<-changes
		}
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changes:
		case err := <-ended:
			t.Fatalf("%s: Watch returned %v", step.name, err)
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: not told", step.name)
		}
	}

	for len(changes) > 0 {
		<-changes
	}
	for _, unrelated := range []string{"unrelated", "image/vmlinuz"} {
		if err := os.WriteFile(file(unrelated), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-changes:
		t.Error("told of an unrelated file")
	case <-time.After(2 * quiet):
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Watch ended with %v", err)
	}
}

// awaitWatch makes changes until one is told, so that the watch has begun, and until that has passed.
func awaitWatch(t *testing.T, dir string, quiet time.Duration, changes chan struct{}) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if err := os.WriteFile(filepath.Join(dir, SystemsDir, "README"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changes:
			return
		case <-time.After(2 * quiet):
		}
	}
	t.Fatal("the watch does not begin")
}

func TestWatchWithoutSite(t *testing.T) {
	if err := Watch(context.Background(), filepath.Join(t.TempDir(), "nothing"), func() {}); err == nil {
		t.Error("no error for a directory that is not there")
	}
}
