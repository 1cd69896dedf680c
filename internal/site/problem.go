package site

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Problem is one thing wrong in a site, and what to do about it.
type Problem struct {
	// File is relative to wherever the directory given to Load is relative to.
	File string
	// Line and Col count from 1, Col in characters. What concerns a whole file stands at 1:1.
	Line, Col int
	// What is wrong, and what to Do.
	What, Do string
}

// Error is file:line:col: what is wrong; what to do.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", p.File, p.Line, p.Col, p.What, p.Do)
}

// Problems are all the problems of a site, sorted by file and position. Beware of storing an empty one in a variable
// of type error: compare its length with 0 instead.
type Problems []Problem

// Error is one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.What, b.What))
	})
}

// place is a position in a file; line and col count from 1.
type place struct {
	file      string
	line, col int
}

// startOf is the place of problems that concern a file as a whole.
func startOf(file string) place { return place{file, 1, 1} }

// checker collects what is found wrong while a site is read.
type checker struct {
	// dir is the site's directory in messages.
	dir string
	// fetched is the absolute path of the site's FetchedDir; empty: files from elsewhere are looked for nowhere.
	fetched            string
	problems, warnings Problems
	// original is a site of the original BootTorrent, which ignored keys that it didn't know.
	original bool
	// manual is what holds for systems that don't say how they are published.
	manual bool
	// after are the values of all keys of that name, which can be checked only when all systems are known; vnc is where a guest is
	// shown on the network.
	after []text
	vnc   []place
	// starts are names of systems that groups give, likewise.
	starts []start
}

// part is a checker for a part of the same site, with problems and warnings of its own.
func (c *checker) part() *checker {
	return &checker{dir: c.dir, fetched: c.fetched, original: c.original, manual: c.manual}
}

// shownSystem is a system's config.yaml in messages.
func (c *checker) shownSystem(name string) string {
	return filepath.Join(c.dir, SystemsDir, name, SystemFile)
}

// hasProblemAt reports whether something is wrong at a place already.
func (c *checker) hasProblemAt(at place) bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool { return p.File == at.file && p.Line == at.line && p.Col == at.col })
}

func (c *checker) sort() {
	c.problems.sort()
	c.warnings.sort()
}

func (c *checker) problem(at place, what, do string) {
	c.problems = append(c.problems, Problem{at.file, at.line, at.col, what, do})
}

func (c *checker) warning(at place, what, do string) {
	c.warnings = append(c.warnings, Problem{at.file, at.line, at.col, what, do})
}
