package commands

import (
	"regexp"
	"strings"
	"time"
)

// Watch is told what is being done. Each function may be nil; they may be called by several goroutines.
type Watch struct {
	// Began is told of a step that begins, Took how long it took when it has ended.
	Began func(step string)
	Took  func(step string, took time.Duration)
	// Counted is told how many things of a step are done, of at most how many.
	Counted func(step string, done, total int)
}

// compileStep is the step that takes minutes.
const compileStep = "compile the node's commands"

// step begins a step; what it returns ends it.
func (w Watch) step(name string) (ended func()) {
	if w.Began != nil {
		w.Began(name)
	}
	began := time.Now()
	return func() {
		if w.Took != nil {
			w.Took(name, time.Since(began))
		}
	}
}

func (w Watch) counted(step string, done, total int) {
	if w.Counted != nil {
		w.Counted(step, done, max(done, total))
	}
}

// compiled takes what go build -v prints: the names of packages, each when it is begun, and complaints.
type compiled struct {
	told     func(packages int)
	packages int
	rest     string
	other    []string
}

// importPath is a line that is a package's name and nothing else.
var importPath = regexp.MustCompile(`^[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~+-]+)*$`)

// Write implements io.Writer.
func (c *compiled) Write(p []byte) (int, error) {
	c.rest += string(p)
	for {
		line, rest, whole := strings.Cut(c.rest, "\n")
		if !whole {
			return len(p), nil
		}
		c.rest = rest
		if importPath.MatchString(line) {
			c.packages++
			c.told(c.packages)
		} else {
			c.other = append(c.other, line)
		}
	}
}

// complaints is everything but names.
func (c *compiled) complaints() string {
	return strings.TrimSpace(strings.Join(append(c.other, c.rest), "\n"))
}
