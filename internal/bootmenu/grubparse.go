package bootmenu

import (
	"errors"
	"fmt"
	"strings"
)

// A GRUB script as its manual describes it ("Writing your own configuration file"): words, blocks in braces, if. What is read here
// is the structure; words keep their quotes until they are run, as variables may change meanwhile.

// command is one command of a script. Of "if" the conditions and blocks are in branches, and words is empty.
type command struct {
	words []string
	// block is what stands in braces behind it: of menuentry, submenu, function; or between do and done.
	block    []command
	branches []branch
}

// branch is a condition and what follows it; "else" has no condition.
type branch struct {
	condition, then []command
	otherwise       bool
}

// token is a word, or one of ; { } which are the script's own.
type token struct {
	text string
	own  bool
}

// tokens splits a script. A line's end is a semicolon.
func tokens(script string) ([]token, error) {
	script = strings.ReplaceAll(script, "\r\n", "\n")
	script = strings.ReplaceAll(script, "\\\n", "")
	var out []token
	var word strings.Builder
	has := false
	flush := func() {
		if has {
			out = append(out, token{text: word.String()})
		}
		word.Reset()
		has = false
	}
	for i := 0; i < len(script); i++ {
		c := script[i]
		switch {
		case c == '\'' || c == '"':
			n := quoted(script[i:])
			if n < 0 {
				return nil, errors.New("a quote is not closed")
			}
			word.WriteString(script[i : i+n])
			has, i = true, i+n-1
		case c == '\\' && i+1 < len(script):
			word.WriteString(script[i : i+2])
			has, i = true, i+1
		case c == '$' && i+1 < len(script) && script[i+1] == '{':
			n := strings.IndexByte(script[i:], '}')
			if n < 0 {
				return nil, errors.New("${ is not closed")
			}
			word.WriteString(script[i : i+n+1])
			has, i = true, i+n
		case c == '#' && !has:
			for i+1 < len(script) && script[i+1] != '\n' {
				i++
			}
		case c == '\n' || c == ';':
			flush()
			out = append(out, token{";", true})
		case c == ' ' || c == '\t' || c == '\r':
			flush()
		case (c == '{' || c == '}') && !has:
			out = append(out, token{string(c), true})
		default:
			word.WriteByte(c)
			has = true
		}
		if word.Len() > maxText {
			return nil, errTooMuch
		}
	}
	flush()
	return out, nil
}

// quoted is how long the quoted text is that s begins with; less than 0: it does not end.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return -1
}

// scriptParser goes through the tokens of a script.
type scriptParser struct {
	tokens  []token
	nesting int
}

func parseScript(script string) ([]command, error) {
	t, err := tokens(script)
	if err != nil {
		return nil, err
	}
	p := &scriptParser{tokens: t}
	commands, err := p.list()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q stands where no command can", p.tokens[0].text)
	}
	return commands, err
}

// list reads commands until something ends them, which stays.
func (p *scriptParser) list(ends ...string) ([]command, error) {
	if p.nesting++; p.nesting > maxNesting {
		return nil, errTooMuch
	}
	defer func() { p.nesting-- }()
	var out []command
	for len(p.tokens) > 0 {
		switch t := p.tokens[0]; {
		case t.own && t.text == ";":
			p.tokens = p.tokens[1:]
		case t.own && t.text == "}":
			return out, nil
		case !t.own && isOneOf(t.text, ends):
			return out, nil
		default:
			c, err := p.command()
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func isOneOf(s string, list []string) bool {
	for _, l := range list {
		if s == l {
			return true
		}
	}
	return false
}

// command reads one command, with the block behind it.
func (p *scriptParser) command() (command, error) {
	if t := p.tokens[0]; !t.own {
		switch t.text {
		case "if":
			return p.conditional()
		case "while", "until", "for":
			return p.loop()
		}
	}
	var c command
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		switch {
		case !t.own:
			c.words = append(c.words, t.text)
			p.tokens = p.tokens[1:]
			continue
		case t.text == "{":
			p.tokens = p.tokens[1:]
			block, err := p.list()
			if err != nil {
				return c, err
			}
			c.block = append(c.block, block...)
			return c, p.expect("}", true)
		}
		break
	}
	return c, nil
}

// expect takes a token that must be there.
func (p *scriptParser) expect(text string, own bool) error {
	if len(p.tokens) == 0 || p.tokens[0].text != text || p.tokens[0].own != own {
		return fmt.Errorf("%s is missing", text)
	}
	p.tokens = p.tokens[1:]
	return nil
}

// conditional reads: if LIST; then LIST; [elif LIST; then LIST;] [else LIST;] fi.
func (p *scriptParser) conditional() (command, error) {
	var c command
	for {
		p.tokens = p.tokens[1:] // if, elif
		condition, err := p.list("then")
		if err != nil {
			return c, err
		}
		if err := p.expect("then", false); err != nil {
			return c, err
		}
		then, err := p.list("elif", "else", "fi")
		if err != nil {
			return c, err
		}
		c.branches = append(c.branches, branch{condition: condition, then: then})
		if len(p.tokens) == 0 || p.tokens[0].text != "elif" {
			break
		}
	}
	if len(p.tokens) > 0 && p.tokens[0].text == "else" {
		p.tokens = p.tokens[1:]
		then, err := p.list("fi")
		if err != nil {
			return c, err
		}
		c.branches = append(c.branches, branch{then: then, otherwise: true})
	}
	return c, p.expect("fi", false)
}

// loop reads: for NAME in WORDS; do LIST; done, or while LIST; do LIST; done. Of the latter what is done is never run.
func (p *scriptParser) loop() (command, error) {
	var c command
	for len(p.tokens) > 0 && !(p.tokens[0].text == "do" && !p.tokens[0].own) {
		if !p.tokens[0].own {
			c.words = append(c.words, p.tokens[0].text)
		}
		p.tokens = p.tokens[1:]
	}
	if err := p.expect("do", false); err != nil {
		return c, err
	}
	var err error
	if c.block, err = p.list("done"); err != nil {
		return c, err
	}
	return c, p.expect("done", false)
}
