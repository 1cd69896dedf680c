// Seeder serves a room of machines that boot from the network: it makes, checks and serves a site directory.
//
// Synopsis:
//
//	seeder init DIR [--name NAME]
//	seeder check DIR
//	seeder serve DIR
//	seeder publish DIR NAME...
//	seeder logs DIR [NODE] [--no-follow]
//	seeder key DIR [--new]
//	seeder verify SEEDER KEY
//	seeder migrate DIR
//	seeder version | help [COMMAND]
//
// Exit codes: 0 all is well, 1 the site has problems or something failed, 2 the command line is wrong.
package main

import (
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/seeder/command"
)

func main() { cli.Main(command.Program()) }
