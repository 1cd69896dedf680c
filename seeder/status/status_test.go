package status

import (
	"strings"
	"testing"
)

// A person who reads a state learns what to do about it.
func TestWords(t *testing.T) {
	if got := Manual.Words(); !strings.Contains(got, "waits for 'seeder publish'") {
		t.Errorf("a folder that has changed is %q", got)
	}
	if got := Kept.Words(); got != "kept from before" {
		t.Errorf("a folder with problems is %q", got)
	}
}
