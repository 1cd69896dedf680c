package phase1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// firmware follows a boot script as iPXE does, as far as the seeder's scripts go, and loads what it says. What it loads is dropped.
type firmware struct {
	http *http.Client
	// settings are iPXE's, without braces.
	settings map[string]string
	// seeder and helpers are how many bytes came from whom, waits how often a script said to wait.
	seeder, helpers int64
	waits           int
}

// errBoot ends a script whose machine starts the kernel.
var errBoot = errors.New("the machine starts phase 1")

// run loads the script at url and follows it until its machine starts phase 1.
func (f *firmware) run(ctx context.Context, url string) error {
	for {
		script, err := f.get(ctx, url)
		if err != nil {
			return err
		}
		next, err := f.follow(ctx, script)
		if errors.Is(err, errBoot) {
			return nil
		}
		if err != nil {
			return err
		}
		url = next
	}
}

// follow runs the lines of a script; next is the script that it goes on with.
func (f *firmware) follow(ctx context.Context, script string) (next string, err error) {
	lines := strings.Split(script, "\n")
	for at, steps := 0, 0; at < len(lines); at++ {
		if steps++; steps > 10000 {
			return "", errors.New("the script runs in a circle")
		}
		ok := true
		for _, part := range commands(lines[at]) {
			if part.after == "||" && ok || part.after == "&&" && !ok {
				continue
			}
			words := strings.Fields(f.expand(part.text))
			if len(words) == 0 {
				ok = true
				continue
			}
			switch words[0] {
			case "goto":
				if at, err = label(lines, words[1]); err != nil {
					return "", err
				}
				ok = true
			case "chain":
				return words[len(words)-1], nil
			case "boot":
				return "", errBoot
			default:
				if ok, err = f.command(ctx, words); err != nil {
					return "", err
				}
			}
			if words[0] == "goto" {
				break
			}
		}
		if !ok {
			return "", fmt.Errorf("the script ends with %q", lines[at])
		}
	}
	return "", errors.New("the script ends without starting anything")
}

// command runs a command that is not one of the script's own, and reports whether it succeeds.
func (f *firmware) command(ctx context.Context, words []string) (bool, error) {
	switch words[0] {
	case "set":
		f.settings[words[1]] = strings.Join(words[2:], " ")
	case "isset":
		return len(words) > 1, nil
	case "iseq":
		return len(words) == 3 && words[1] == words[2], nil
	case "echo":
		if len(words) > 1 && words[1] == "waiting:" {
			f.waits++
		}
	case "sleep":
		seconds, err := strconv.Atoi(words[1])
		if err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(seconds) * time.Second):
		}
	case "kernel", "initrd", "imgfetch":
		return f.load(ctx, words[1:]) == nil, ctx.Err()
	}
	return true, nil
}

// load takes the arguments of a command that loads a file. A file that stalls for --timeout is given up.
func (f *firmware) load(ctx context.Context, words []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.Hour
	for len(words) > 2 && strings.HasPrefix(words[0], "--") {
		if ms, err := strconv.Atoi(words[1]); words[0] == "--timeout" && err == nil {
			stall = time.Duration(ms) * time.Millisecond
		}
		words = words[2:]
	}
	timer := time.AfterFunc(stall, cancel)
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, words[0], nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "iPXE/1.0.0+")
	resp, err := f.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	count := &f.helpers
	if strings.HasPrefix(words[0], f.settings["base"]+"/") {
		count = &f.seeder
	}
	for buf := make([]byte, 64<<10); ; {
		n, err := resp.Body.Read(buf)
		timer.Reset(stall)
		*count += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *firmware) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", "iPXE/1.0.0+")
	resp, err := f.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(b), err
}

// expand fills in settings. One that there isn't is empty.
func (f *firmware) expand(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(f.settings[name])
		text = after
	}
}

// part is a command of a line, and the operator before it.
type part struct{ after, text string }

// commands are those of a line, with comments and labels as none.
func commands(line string) (parts []part) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ":") {
		return nil
	}
	p := part{}
	for _, word := range strings.Fields(line) {
		if word == "||" || word == "&&" {
			parts = append(parts, p)
			p = part{after: word}
			continue
		}
		p.text += word + " "
	}
	return append(parts, p)
}

// label is the line of a label.
func label(lines []string, name string) (int, error) {
	for i, l := range lines {
		if strings.TrimSpace(l) == ":"+name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the script has no label %q", name)
}
