// Ip shows and changes the addresses, links, routes and neighbours of this machine.
//
// Synopsis:
//
//	ip [addr|link|route|neigh] [show]
//	ip addr add|del ADDRESS/PREFIX dev NAME
//	ip link set [dev] NAME up|down
//	ip route add|del PREFIX|default [via GATEWAY] [dev NAME]
//
// Description:
//
// A word may be cut short, as in ip a and ip r. Words and output are like those of iproute2's ip(8), as far as they go. It takes the
// place of u-root's command of the same name, which knows tunnels, tables and much more, and costs every node 136 KB.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const usage = `ip [addr|link|route|neigh] [show]
ip addr add|del ADDRESS/PREFIX dev NAME
ip link set [dev] NAME up|down
ip route add|del PREFIX|default [via GATEWAY] [dev NAME]`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ip:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("this is what it understands:\n" + usage)

// command is what it can show or change, by the first word.
type command struct {
	name   string
	show   func(io.Writer) error
	change func(args []string) error
}

var commands = []command{
	{"addr", showAddresses, changeAddress},
	{"address", showAddresses, changeAddress},
	{"link", showLinks, changeLink},
	{"route", showRoutes, changeRoute},
	{"neigh", showNeighbours, nil},
	{"neighbour", showNeighbours, nil},
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		args = []string{"addr"}
	}
	at := slices.IndexFunc(commands, func(c command) bool { return args[0] != "" && strings.HasPrefix(c.name, args[0]) })
	switch {
	case at < 0:
		return errUsage
	case len(args) == 1, len(args) == 2 && args[1] != "" && (strings.HasPrefix("show", args[1]) || strings.HasPrefix("list", args[1])):
		return commands[at].show(out)
	case commands[at].change == nil:
		return errUsage
	}
	return commands[at].change(args[1:])
}

// options takes "KEY VALUE" pairs of the given keys; false if there is anything else.
func options(args []string, keys ...string) (map[string]string, bool) {
	values := map[string]string{}
	for ; len(args) > 0; args = args[2:] {
		if len(args) == 1 || !slices.Contains(keys, args[0]) {
			return nil, false
		}
		values[args[0]] = args[1]
	}
	return values, true
}
