package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// openConsoles opens every active console for reading and writing, so that a key comes through without Enter; just
// /dev/console if there is none by name.
func openConsoles() []*os.File {
	active, _ := os.ReadFile("/sys/class/tty/console/active")
	var consoles []*os.File
	for _, name := range append(strings.Fields(string(active)), "console") {
		if name == "console" && len(consoles) > 0 {
			break
		}
		f, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			continue
		}
		keywise(int(f.Fd()))
		consoles = append(consoles, f)
	}
	return consoles
}

// keywise switches line editing and echo off.
func keywise(fd int) {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return // not a terminal: it can be written to
	}
	t.Lflag &^= unix.ICANON | unix.ECHO
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func say(consoles []*os.File, text string) {
	for _, c := range consoles {
		_, _ = c.WriteString(text + "\n")
	}
}

// awaitKey returns the first byte typed on any console.
func awaitKey(consoles []*os.File) byte {
	keys := make(chan byte)
	for _, c := range consoles {
		go func() {
			var b [1]byte
			if n, err := c.Read(b[:]); n == 1 && err == nil {
				keys <- b[0]
			}
		}()
	}
	return <-keys
}
