package program

import (
	"debug/elf"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheckInit(t *testing.T) {
	static := put(head(), elf.Prog64{Type: uint32(elf.PT_LOAD)})
	const machineAt = 18 // of e_machine (elf(5))
	const linker = "/lib64/ld-linux-x86-64.so.2"
	for _, tt := range []struct {
		name string
		// files are executable but for those whose name ends with a minus sign, which is not part of it.
		files map[string]string
		want  string
	}{
		{name: "static", files: map[string]string{"sbin/init": static}},
		{name: "linked", files: map[string]string{"sbin/init": dynamic(linker), "lib64/ld-linux-x86-64.so.2": static}},
		{name: "linked, without its linker", files: map[string]string{"sbin/init": dynamic(linker)}, want: "asks to be run by " + linker + ", which is not in the root file system; install it"},
		{name: "linked, with the linker of another processor",
			files: map[string]string{"sbin/init": dynamic(linker), "lib64/ld-linux-x86-64.so.2": changed(static, machineAt, uint16(elf.EM_AARCH64))},
			want:  "asks to be run by " + linker + ", which is for aarch64"},
		{name: "a linker is asked for no linker", files: map[string]string{"sbin/init": dynamic(linker), "lib64/ld-linux-x86-64.so.2": dynamic("/lib/another")}},
		{name: "32 bit", files: map[string]string{"sbin/init": i386()}},
		{name: "another processor", files: map[string]string{"sbin/init": changed(static, machineAt, uint16(elf.EM_AARCH64))}, want: "is for aarch64, 64-bit, and the system for amd64; take an image for that"},
		{name: "script", files: map[string]string{"sbin/init": "#!/bin/sh -e\nx", "bin/sh": static}},
		{name: "script by env", files: map[string]string{"sbin/init": "#!/usr/bin/env python3\n", "usr/bin/env": static}},
		{name: "script without its shell", files: map[string]string{"sbin/init": "#!/bin/sh\n"}, want: "asks to be run by /bin/sh, which is not in the root"},
		{name: "script of Windows", files: map[string]string{"sbin/init": "#!/bin/sh\r\n", "bin/sh": static}, want: "as on Windows"},
		{name: "script for itself", files: map[string]string{"sbin/init": "#!/sbin/init\n"}, want: "too many for the kernel"},
		{name: "script for nobody", files: map[string]string{"sbin/init": "#!\n"}, want: "names no interpreter"},
		{name: "relative, to the root", files: map[string]string{"sbin/init": "#!bin/sh\n", "bin/sh": static}},
		{name: "missing", files: map[string]string{"etc/x": ""}, want: "is not in the root file system; write init:"},
		{name: "not executable", files: map[string]string{"sbin/init-": static}, want: "is not executable"},
		{name: "a folder", files: map[string]string{"sbin/init/x": static}, want: "is not a file"},
		{name: "empty", files: map[string]string{"sbin/init": ""}, want: "is empty"},
		{name: "cut off", files: map[string]string{"sbin/init": put(head(), elf.Prog64{Type: uint32(elf.PT_LOAD), Off: 1 << 20, Filesz: 1})}, want: "is cut off"},
		{name: "damaged", files: map[string]string{"sbin/init": "\x7fELF\x02\x01\x01"}, want: "damaged ELF"},
		{name: "text", files: map[string]string{"sbin/init": "hello\n"}, want: "without #!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, content := range tt.files {
				mode := fs.FileMode(0o755)
				if plain, ok := strings.CutSuffix(name, "-"); ok {
					name, mode = plain, 0o644
				}
				root[name] = &fstest.MapFile{Data: []byte(content), Mode: mode}
			}
			err := CheckInit(root, "sbin/init", "amd64")
			var reason *Error
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.As(err, &reason) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
