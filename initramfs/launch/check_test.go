package launch

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// What seeder check takes, a node starts, and what a node refuses, check has said before, in the same words.
func TestProgramsAsTheSeederChecksThem(t *testing.T) {
	dir := t.TempDir()
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	elf := staticProgram(t)
	cases := map[string]map[string]string{
		"beside":     {"prog": "#!./interp\n", "interp": "#!/bin/sh\n"},
		"plainly":    {"prog": "#!interp\n", "interp": "#!/bin/sh\n"},
		"windows":    {"prog": "#!/bin/sh\r\n"},
		"argument":   {"prog": "#! /bin/sh -x\n"},
		"env":        {"prog": "#!/usr/bin/env python3\n"},
		"bom":        {"prog": "\xef\xbb\xbf#!/bin/sh\n"},
		"perl":       {"prog": "#!/usr/bin/perl\n"},
		"uroot":      {"prog": "#!/bbin/strace\n"},
		"long":       {"prog": "#!/bin/sh " + strings.Repeat("x", 300) + "\n"},
		"text":       {"prog": "echo\n"},
		"empty":      {"prog": ""},
		"exe":        {"prog": "MZ\x90"},
		"compressed": {"prog": "\x1f\x8b\x08"},
		"arm":        {"prog": patched(elf, 18, 183)},
		"object":     {"prog": patched(elf, 16, 1)},
		"cut":        {"prog": elf[:len(elf)/2]},
		"static":     {"prog": elf},
		"freebsd":    {"prog": patched(elf, 7, 9)},
	}
	for name, files := range cases {
		folder := filepath.Join(dir, site.SystemsDir, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		files[site.SystemFile] = "dispname: " + name + "\nmethod: bin\nbin: prog\n"
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	loaded, problems := site.Load(dir)
	if loaded != nil {
		problems = loaded.AllProblems()
	}
	for name := range cases {
		check := ""
		for _, p := range problems {
			if filepath.Base(filepath.Dir(p.File)) == name {
				check += strings.TrimPrefix(p.What, "bin prog ") + "; " + p.Do
			}
		}
		job := Job{Dir: filepath.Join(dir, site.SystemsDir, name), System: catalog.System{
			Name: name, Launch: catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "prog"}},
		}}
		node := ""
		if err := newBin().Load(t.Context(), job); err != nil {
			node = strings.TrimPrefix(err.Error(), "start "+name+": prog can't be run: it ")
		}
		if check != node {
			t.Errorf("%s: check says %q, the node %q", name, check, node)
		}
	}
}

func staticProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build(t, dir, filepath.Join(dir, "x"), "amd64", "package main\nfunc main() {}\n")
	b, err := os.ReadFile(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// patched is a file with two bytes replaced.
func patched(content string, at int, value uint16) string {
	b := []byte(content)
	binary.LittleEndian.PutUint16(b[at:], value)
	return string(b)
}
