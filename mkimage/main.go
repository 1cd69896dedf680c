// Mkimage builds what the nodes of a site start with: a kernel, and an initramfs with BootTorrent's commands, the kernel
// modules of network cards, and the site's public key.
//
// Synopsis:
//
//	mkimage DIR [--arch amd64,arm64] [--kernel FILE --modules DIR] [--drivers common|all|LIST] [--seeder URL]
//	mkimage usb|iso DIR [-o FILE] [--conf FILE]
//	mkimage modules --kernel FILE [--modules DIR] [--drivers common|all|LIST] -o FILE
//	mkimage pi DIR --firmware FOLDER|PACKAGE [--device-trees DIR]
//	mkimage keys DIR [--new]
//	mkimage flash FILE [DEVICE] [--force]
//	mkimage import SOURCE DIR/oss/NAME [--replace] [--title TEXT] [--entry N] [--kernel debian|FILE --modules DIR]
//	mkimage version | help [COMMAND]
//
// Description:
//
// DIR is a site directory made by seeder init. The image is written to DIR/image: vmlinuz, initramfs.img, and
// manifest.json, which says what they are made of (those for arm64 to DIR/image/arm64); mkimage usb and mkimage iso make a medium of it besides, for machines that
// don't boot from the network. Without --kernel the kernel is the distribution's, downloaded by apt
// into a cache; nothing is installed, and root is not needed.
//
// Exit codes: 0 the image is built, 1 it is not, 2 the command line is wrong.
package main

import (
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/mkimage/command"
)

func main() { cli.Main(command.Program()) }
