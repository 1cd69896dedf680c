package launch

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/boottorrent/boottorrent/internal/report"
)

func TestTail(t *testing.T) {
	many := func(n int) (text string, last []string) {
		for i := range n {
			line := strings.Repeat("x", i%7) + "y"
			text += line + "\r\n"
			last = append(last, line)
		}
		return text, last[max(0, n-report.ExitLines):]
	}
	hundred, last := many(100)
	for _, tt := range []struct {
		name, output string
		want         []string
	}{
		{"nothing", "", nil},
		{"only empty lines", "\r\n \n\x1b[0m\n", nil},
		{"colours and moves", "\x1b[1;31mred\x1b[0m \x1b[?25l\x1b(Bplain\x1b7\x1b[10;3H!", []string{"red plain!"}},
		{"titles and strings", "\x1b]0;title\x07a\x1b]2;t\x1b\\b\x1bPdcs\x1b\\c\x1b]cut\nd", []string{"abc", "d"}},
		{"a sequence cut off", "text\x1b[3", []string{"text"}},
		{"an escape at the end", "text\x1b", []string{"text"}},
		{"a broken sequence", "a\x1b[1\nb\x1b[\xffc", []string{"a", "b\uFFFDc"}},
		{"progress", "10%\r20%\r30%\r\ndone\r\n", []string{"30%", "done"}},
		{"typing errors", "lz\bs -l\b\b\b\b\b\b\bok", []string{"ok"}},
		{"tabs, bells, zeros", "a\tb\x07\x00c", []string{"a bc"}},
		{"C1 and directions", "a\u009b\u202eb\u200bc", []string{"abc"}},
		{"not UTF-8", "caf\xe9 \xff", []string{"caf\uFFFD \uFFFD"}},
		{"UTF-8", "héllo wörld ✓", []string{"héllo wörld ✓"}},
		{"many lines", hundred, last},
		{"a long line", strings.Repeat("é", 150), []string{strings.Repeat("é", 98) + "…"}},
	} {
		if got := tail([]byte(tt.output)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Whatever a program writes, what is sent to the seeder is short and printable.
func FuzzTail(f *testing.F) {
	f.Add([]byte("\x1b[1mtext\r\n\x1b]0;t\x07\xff\b\t\u202e"))
	f.Add([]byte(strings.Repeat("\xc3", 300) + "\n\x1b"))
	f.Fuzz(func(t *testing.T, output []byte) {
		lines := tail(output)
		if len(lines) > report.ExitLines {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if len(line) > report.ExitWidth || line == "" || !utf8.ValidString(line) {
				t.Fatalf("%q", line)
			}
			for _, r := range line {
				if !unicode.IsPrint(r) {
					t.Fatalf("%q has %U in it", line, r)
				}
			}
		}
	})
}

// A terminal that is attached again gets no questions to answer, and no half of an escape sequence first.
func TestTapeShowsWhatIsSafe(t *testing.T) {
	tp := newTape()
	_, _ = tp.Write([]byte("a\x1b[6nb\x1b[cc\x1b[>0cd\x1b[?2026$pe\x1b]11;?\x07f\x1b[1mg"))
	recent, ok := tp.attach()
	if !ok || string(recent) != "abcdef\x1b[1mg" {
		t.Errorf("%q, %v", recent, ok)
	}
	tp.detach()
	_, _ = tp.Write([]byte("\nx" + strings.Repeat("y", tapeSize-5) + "\nz"))
	if recent, _ = tp.attach(); !strings.HasPrefix(string(recent), "xy") {
		t.Errorf("begins with %.20q", recent)
	}
}
