package dhcp

import (
	"errors"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Messages are counted by their type and what becomes of them; what a stranger invents is none of the types.
func TestOutcomes(t *testing.T) {
	message := func(kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.New(dhcpv4.WithMessageType(kind))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for kind, want := range map[dhcpv4.MessageType]string{
		dhcpv4.MessageTypeDiscover: "discover", dhcpv4.MessageTypeRequest: "request", dhcpv4.MessageTypeInform: "inform",
		dhcpv4.MessageTypeAck: "other", 77: "other",
	} {
		if got := messageName(message(kind)); got != want {
			t.Errorf("%s is counted as %s, want %s", kind, got, want)
		}
	}
	if got := messageName(nil); got != "other" {
		t.Errorf("garbage is counted as %s", got)
	}
	discover := message(dhcpv4.MessageTypeDiscover)
	for want, d := range map[Outcome]decision{
		Answered: {reply: discover}, Ignored: ignore("nothing"), Refused: unserved(discover, errors.New("no address is left")),
	} {
		if got := outcomeOf(d); got != want {
			t.Errorf("%+v is %s, want %s", d.note, got, want)
		}
	}
}
