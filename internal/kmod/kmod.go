// Package kmod reads what depmod(8) and the kernel's build write about modules: which module claims which device
// (modules.alias), and how modules are called. mkimage, the seeder and the nodes ask here.
package kmod

import (
	"path"
	"strings"
)

// Compressions are the endings of compressed modules, behind .ko.
var Compressions = [...]string{".gz", ".xz", ".zst"}

// Uncompressed is the path of a module without the ending of its compression.
func Uncompressed(file string) string {
	for _, ending := range Compressions {
		file = strings.TrimSuffix(file, ending)
	}
	return file
}

// Name is what the kernel calls the module in a file: kernel/drivers/net/xen-netfront.ko.xz has xen_netfront.
func Name(file string) string {
	return Normalize(strings.TrimSuffix(path.Base(Uncompressed(file)), ".ko"))
}

// Normalize is a module's name as lsmod shows it: names differ in files and in other modules' lists only by dashes.
func Normalize(name string) string { return strings.ReplaceAll(name, "-", "_") }
