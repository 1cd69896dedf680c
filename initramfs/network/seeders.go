package network

import (
	"context"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// How long to ask for seeders: again where a message was lost, until nobody can be expected to answer any more; and after the
// first answer only for those of others, which on one LAN come within milliseconds.
const (
	askAgain   = 700 * time.Millisecond
	askWithin  = 2500 * time.Millisecond
	moreWithin = 300 * time.Millisecond
)

// Seeders asks by DHCP which seeders are in the network of an interface that has an address, from DHCP or otherwise, and returns
// their base URLs, sorted. It sends a DHCPINFORM (RFC 2131, 4.4.3) with our vendor class, which changes nothing at any server.
// No answer is no error.
func Seeders(ctx context.Context, l Lease) ([]string, error) {
	id := identity{mac: l.MAC, uuid: hardware.ReadFacts().UUID}
	talk, err := openRaw(l.Interface, id)
	if err != nil {
		return nil, err
	}
	defer talk.Close()
	return talk.seeders(ctx, id.inform(l)), nil
}

// inform asks for everything but an address.
func (id identity) inform(l Lease) *dhcpv4.DHCPv4 {
	return id.message(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(l.Addr.Addr().AsSlice()))
}

// seeders sends a message and collects the seeders that answer.
func (c *conversation) seeders(ctx context.Context, message *dhcpv4.DHCPv4) []string {
	again := time.NewTicker(askAgain)
	defer again.Stop()
	over := time.After(askWithin)
	var found []string
	send := func() { _, _ = c.conn.WriteTo(message.ToBytes(), c.to) } // an error is like a message that got lost
	send()
	for {
		select {
		case <-ctx.Done():
			return found
		case <-over:
			return found
		case <-again.C:
			if len(found) == 0 {
				send()
			}
		case p := <-c.replies:
			base, ok := seederIn(p)
			if !ok || p.TransactionID != message.TransactionID || slices.Contains(found, base) {
				continue
			}
			if len(found) == 0 {
				over = time.After(moreWithin)
			}
			found = append(found, base)
			slices.Sort(found)
		}
	}
}

// seederIn reads a seeder's answer to a DHCPINFORM: our vendor class and its base URL as boot file. Other servers answer, too.
func seederIn(p *dhcpv4.DHCPv4) (base string, ok bool) {
	file := bootFile(p)
	if p.MessageType() != dhcpv4.MessageTypeAck || p.ClassIdentifier() != seederurl.VendorClass || !seederurl.HasScheme(file) {
		return "", false
	}
	base, err := seederurl.Base(file)
	return base, err == nil
}
