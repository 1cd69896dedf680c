package main

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// changeAddress does "add|del ADDRESS/PREFIX dev NAME".
func changeAddress(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	values, ok := options(args[2:], "dev")
	if !ok || values["dev"] == "" {
		return errUsage
	}
	address, err := netlink.ParseAddr(args[1])
	if err != nil {
		return fmt.Errorf("%q is not of the form ADDRESS/PREFIX", args[1])
	}
	link, err := linkByName(values["dev"])
	if err != nil {
		return err
	}
	switch args[0] {
	case "add":
		err = netlink.AddrAdd(link, address)
	case "del":
		err = netlink.AddrDel(link, address)
	default:
		return errUsage
	}
	return failed(args, err)
}

// changeLink does "set [dev] NAME up|down".
func changeLink(args []string) error {
	words := args
	if len(words) == 4 && words[1] == "dev" {
		words = append([]string{words[0]}, words[2:]...)
	}
	if len(words) != 3 || words[0] != "set" || words[2] != "up" && words[2] != "down" {
		return errUsage
	}
	link, err := linkByName(words[1])
	if err != nil {
		return err
	}
	if words[2] == "up" {
		return failed(args, netlink.LinkSetUp(link))
	}
	return failed(args, netlink.LinkSetDown(link))
}

// changeRoute does "add|del PREFIX|default [via GATEWAY] [dev NAME]".
func changeRoute(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	values, ok := options(args[2:], "via", "dev")
	if !ok || len(values) == 0 && args[0] == "add" {
		return errUsage
	}
	route, err := newRoute(args[1], values)
	if err != nil {
		return err
	}
	switch args[0] {
	case "add":
		err = netlink.RouteAdd(route)
	case "del":
		err = netlink.RouteDel(route)
	default:
		return errUsage
	}
	return failed(args, err)
}

func newRoute(to string, values map[string]string) (*netlink.Route, error) {
	route := &netlink.Route{}
	if via := values["via"]; via != "" {
		if route.Gw = net.ParseIP(via); route.Gw == nil {
			return nil, fmt.Errorf("the gateway %q is not an address", via)
		}
	}
	if to == "default" {
		to = "0.0.0.0/0"
		if route.Gw != nil && route.Gw.To4() == nil {
			to = "::/0"
		}
	}
	var err error
	if _, route.Dst, err = net.ParseCIDR(to); err != nil {
		return nil, fmt.Errorf("%q is neither default nor of the form ADDRESS/PREFIX", to)
	}
	if dev := values["dev"]; dev != "" {
		link, err := linkByName(dev)
		if err != nil {
			return nil, err
		}
		route.LinkIndex = link.Attrs().Index
	}
	return route, nil
}

func linkByName(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return link, nil
}

func failed(args []string, err error) error {
	if err != nil {
		return fmt.Errorf("%v: %w", args, err)
	}
	return nil
}
