package node

import (
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/order"
)

// What a node is ordered to start must be what its chooser offers.
func TestDecide(t *testing.T) {
	n, _ := newNode(t, "")
	decide := func(action order.Action, system string) (decision.Decision, string) {
		d, text, err := n.decide(order.Order{Action: action, System: system})
		if err != nil {
			text = "refused: " + err.Error()
		}
		return d, text
	}
	if _, text := decide(order.Choose, "good"); !strings.Contains(text, "refused: it has not come to its chooser yet") {
		t.Errorf("before the chooser: %s", text)
	}
	n.offered.Store(&[]menu.Item{{Name: "good", Title: "Good one"}, {Name: "arm", Title: "Arm", Unavailable: "it is for arm64 machines"}})
	for _, c := range []struct {
		action order.Action
		system string
		want   decision.Decision
		text   string
	}{
		{order.Reboot, "", decision.Decision{Action: decision.Reboot}, "restarting"},
		{order.PowerOff, "", decision.Decision{Action: decision.PowerOff}, "switching off"},
		{order.Choose, "", decision.Decision{Action: decision.Choose}, "showing the chooser"},
		{order.Choose, "good", decision.Decision{Action: decision.Start, System: "good", ByPerson: true}, "starting Good one"},
		{order.Choose, "arm", decision.Decision{}, "refused: it can't start arm: it is for arm64 machines"},
		{order.Choose, "gone", decision.Decision{}, "refused: gone is not among what it offers"},
		{"dance", "", decision.Decision{}, `refused: this node does not know how to "dance"`},
	} {
		if got, text := decide(c.action, c.system); got != c.want || !strings.HasPrefix(text, c.text) {
			t.Errorf("%s %s: %+v, %q", c.action, c.system, got, text)
		}
	}
}
