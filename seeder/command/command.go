// Package command is the command line of the seeder: a file for each command.
package command

import (
	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/boottorrent/boottorrent/internal/cli"
)

// Commands is the command line.
type Commands struct {
	Init       initCmd                   `cmd:"" help:"Make a new site directory."`
	Check      checkCmd                  `cmd:"" help:"Check a site directory and print every problem in it."`
	Serve      serveCmd                  `cmd:"" help:"Serve a site: DHCP, TFTP, HTTP, tracker and seed, until interrupted."`
	Mirror     mirrorCmd                 `cmd:"" help:"Serve what another seeder of the site has signed, until interrupted."`
	Promote    promoteCmd                `cmd:"" help:"Make a mirror the site's first seeder, with the site's secret key."`
	Publish    publishCmd                `cmd:"" help:"Publish systems as they are now, for those that say publish: manual."`
	Push       pushCmd                   `cmd:"" help:"Put a system into a bucket or a registry, from which any site can have it back."`
	Logs       logsCmd                   `cmd:"" help:"Show what the nodes log, and follow it."`
	Nodes      nodesCmd                  `cmd:"" help:"Show the machines, and what they do."`
	Wake       wakeCmd                   `cmd:"" help:"Switch machines on, by Wake-on-LAN."`
	Next       nextCmd                   `cmd:"" help:"Say what machines start the next time, or show what was said."`
	Choose     chooseCmd                 `cmd:"" help:"Have machines that wait or download start a system, or show the chooser."`
	Reboot     rebootCmd                 `cmd:"" help:"Restart machines in phase 1 or with a system of the method root."`
	Poweroff   poweroffCmd               `cmd:"" help:"Switch such machines off."`
	Password   passwordCmd               `cmd:"" help:"Make the hash of a password for the page, or for a locked menu."`
	Key        keyCmd                    `cmd:"" help:"Show a site's public key, and mend what is lost of its pair of keys."`
	Verify     verifyCmd                 `cmd:"" help:"Fetch what machines start, and compare it with what the site's key has signed."`
	Migrate    migrateCmd                `cmd:"" help:"Write a new configuration for a site of the original BootTorrent."`
	Version    cli.VersionCmd            `cmd:"" help:"Print the version."`
	Completion kongcompletion.Completion `cmd:"" help:"Print a line for your shell's start-up file that completes these commands."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}

// terminal is what a command reads and writes.
type terminal = cli.Terminal

// Program is the command with an empty command line.
func Program() cli.Program {
	return cli.Program{Name: "seeder", Grammar: &Commands{}, Options: Options()}
}

// Options are what the parser of these commands needs, in whichever program they are.
func Options() []kong.Option {
	return []kong.Option{
		kong.Description("Boots a room of machines over the network in about the time one of them needs."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
}
