package site

import "github.com/boottorrent/boottorrent/internal/catalog"

// method is one way to start a system. There is one file for each, and one line in methodNamed.
type method interface {
	// read takes the method's own keys from a system's config.yaml, checks them and the files they name, and reports to
	// m.check what is wrong. It returns what a node needs to know, and the files the system consists of in the order of
	// the torrent, each once.
	read(m *mapping, f *folder, arch text) (catalog.Launch, []string)
}

func methodNamed(name string) (method, bool) {
	switch name {
	case catalog.MethodKexec:
		return kexec{}, true
	case catalog.MethodBin:
		return bin{}, true
	case catalog.MethodQEMU:
		return qemu{}, true
	case originalQEMU:
		return qemu{pc: true}, true
	case catalog.MethodRoot:
		return root{}, true
	}
	return nil, false
}

// originalQEMU is what the original BootTorrent calls catalog.MethodQEMU.
const originalQEMU = "bin-qemu-x86_64"

// methodNames are the methods a config.yaml may name, for messages.
const methodNames = catalog.MethodKexec + ", " + catalog.MethodRoot + ", " + catalog.MethodBin + ", " + catalog.MethodQEMU + " (or " + originalQEMU + ")"
