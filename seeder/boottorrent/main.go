// Boottorrent is the one program of an installed BootTorrent: it makes, checks and serves a site, as seeder does, and builds what the
// site's machines start, as mkimage does.
//
// Synopsis:
//
//	boottorrent start [DIR]
//	boottorrent init|check|serve|publish|logs|... DIR
//	boottorrent mkimage [usb|iso|import|...] DIR
//	boottorrent version | help [COMMAND]
//
// Exit codes: 0 all is well, 1 the site has problems or something failed, 2 the command line is wrong.
package main

import (
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	mkimage "github.com/boottorrent/boottorrent/mkimage/command"
	seeder "github.com/boottorrent/boottorrent/seeder/command"
)

const name = "boottorrent"

// commands is the command line.
type commands struct {
	Start startCmd `cmd:"" help:"Build what machines start, if that is missing or older than the site, and serve the site."`
	seeder.Commands
	Mkimage mkimage.Commands `cmd:"" help:"Build what machines start (boottorrent mkimage DIR), sticks and discs of it, and import systems."`
	Man     cli.ManCmd       `cmd:"" hidden:"" help:"Write the manual pages of all commands into a folder."`
}

// program is the command with an empty command line.
func program() cli.Program {
	self.IsOne(name)
	var line commands
	return cli.Program{Name: name, Grammar: &line, Options: append(seeder.Options(), line.Mkimage.Options())}
}

func main() { cli.Main(program()) }
