package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/charmbracelet/x/ansi"
)

// ManCmd is the command that writes manual pages, made of what --help says.
type ManCmd struct {
	Folder string    `arg:"" help:"Where to: a page for the program, and one for each command."`
	Date   epochTime `env:"SOURCE_DATE_EPOCH" default:"0" help:"The pages' date, in seconds since 1970."`
}

// epochTime is a date as SOURCE_DATE_EPOCH has it (https://reproducible-builds.org/specs/source-date-epoch/).
type epochTime string

func (e epochTime) date() (string, error) {
	seconds, err := strconv.ParseInt(string(e), 10, 64)
	if err != nil {
		return "", UsageError{fmt.Errorf("the date %q is not a number of seconds: %w", string(e), err)}
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// Run writes them.
func (c ManCmd) Run(ctx *kong.Context) error {
	date, err := c.Date.date()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return err
	}
	return writePages(c.Folder, date, ctx.Model.Node)
}

// writePages writes the page of a command and those of the commands below it.
func writePages(folder, date string, n *kong.Node) error {
	name := pageName(n)
	if err := os.WriteFile(filepath.Join(folder, name+".1"), manPage(n, date), 0o644); err != nil {
		return err
	}
	for _, child := range shownChildren(n) {
		if err := writePages(folder, date, child); err != nil {
			return err
		}
	}
	return nil
}

// pageName is boottorrent-mkimage-import for boottorrent mkimage import, as git does.
func pageName(n *kong.Node) string { return strings.ReplaceAll(n.FullPath(), " ", "-") }

func shownChildren(n *kong.Node) (shown []*kong.Node) {
	for _, child := range n.Children {
		if !child.Hidden {
			shown = append(shown, child)
		}
	}
	return shown
}

// manPage is the page of one command, in the macros of man(7).
func manPage(n *kong.Node, date string) []byte {
	var b bytes.Buffer
	program := n.FullPath()
	if at := strings.IndexByte(program, ' '); at > 0 {
		program = program[:at]
	}
	fmt.Fprintf(&b, ".TH %s 1 %s %s \"Commands of %s\"\n", strings.ToUpper(pageName(n)), date, program, program)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(n)), roff(strings.TrimSuffix(n.Help, ".")))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", roff(n.FullPath()), roff(strings.TrimSpace(strings.TrimPrefix(n.Summary(), n.Path()))))
	b.WriteString(".SH DESCRIPTION\n" + roff(n.Help) + "\n")
	if n.Detail != "" {
		b.WriteString(".PP\n" + paragraphs(n.Detail))
	}
	if len(n.Positional) > 0 {
		b.WriteString(".SH ARGUMENTS\n")
		for _, p := range n.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(p.Summary()), roff(p.Help))
		}
	}
	commandsSection(&b, n)
	flagsSection(&b, n)
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nAll is well.\n.TP\n.B 1\nThe site has problems, or something failed.\n.TP\n.B 2\nThe command line is wrong.\n")
	if n.Parent != nil {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(pageName(n.Parent)))
	}
	return b.Bytes()
}

func commandsSection(b *bytes.Buffer, n *kong.Node) {
	children := shownChildren(n)
	if len(children) == 0 {
		return
	}
	b.WriteString(".SH COMMANDS\nEach has a page of its own.\n")
	for _, child := range children {
		fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(child)), roff(child.Help))
	}
}

// flagsSection has the flags of a command and of those above it.
func flagsSection(b *bytes.Buffer, n *kong.Node) {
	b.WriteString(".SH OPTIONS\n")
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			line := "\\fB" + roff("--"+f.Name) + "\\fR"
			if f.Short != 0 {
				line = "\\fB" + roff("-"+string(f.Short)) + "\\fR, " + line
			}
			if !f.IsBool() {
				line += "=\\fI" + roff(f.FormatPlaceHolder()) + "\\fR"
			}
			fmt.Fprintf(b, ".TP\n%s\n%s\n", line, roff(f.Help))
		}
	}
}

// paragraphs are the text of a long help: blank lines part its paragraphs, and indented lines stay as they are.
func paragraphs(text string) string {
	var b strings.Builder
	verbatim := false
	set := func(want bool) {
		switch {
		case want && !verbatim:
			b.WriteString(".nf\n")
		case !want && verbatim:
			b.WriteString(".fi\n")
		}
		verbatim = want
	}
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			set(false)
			if i+1 < len(lines) && strings.TrimSpace(lines[i+1]) != "" {
				b.WriteString(".PP\n")
			}
			continue
		}
		set(strings.HasPrefix(line, "    "))
		b.WriteString(roff(line) + "\n")
	}
	set(false)
	return b.String()
}

// roff is a text that stands for itself: no line of it is a request, no character an escape, and a hyphen is the one that can be pasted.
// Lines are as long as mandoc likes them, but for those of an example.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "    ") {
			line = ansi.Wordwrap(line, 68, " ")
		}
		for part := range strings.SplitSeq(line, "\n") {
			if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "'") {
				part = `\&` + part
			}
			lines = append(lines, part)
		}
	}
	return strings.Join(lines, "\n")
}
