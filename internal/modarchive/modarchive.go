// Package modarchive is the form in which a system of the method root brings its kernel's modules to a node: one file that is a part
// of an initramfs.
//
// The file is two cpio archives (newc; Linux, Documentation/driver-api/early-userspace/buffer-format.rst), one after the other. The
// first is not compressed and has the index files lib/modules/RELEASE/modules.{dep,alias,softdep,builtin}, so that a node can tell
// without a decompressor which devices the kernel will have a driver for. The second, compressed with xz or zstd, has the modules
// and their firmware. mkimage writes the file, 'seeder check' and the node read its index.
package modarchive
