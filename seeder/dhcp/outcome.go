package dhcp

import (
	"log/slog"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Outcome is what became of a message.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered"
	// Ignored: it is for nobody here, or needs no answer.
	Ignored Outcome = "ignored"
	// Refused: somebody may wait for an answer, and there is none to give; the log says why.
	Refused Outcome = "refused"
	// Failed: the answer could not be sent, or what it promises not be kept.
	Failed Outcome = "failed"
	// Unreadable: it is no DHCP message.
	Unreadable Outcome = "unreadable"
)

// outcomeOf is what becomes of a message with that decision.
func outcomeOf(d decision) Outcome {
	switch {
	case d.reply != nil:
		return Answered
	case d.note.level >= slog.LevelWarn:
		return Refused
	}
	return Ignored
}

// messageName is the type of a client's message (RFC 2132, section 9.6) in lower case, or "other"; nil is one that could not be read.
func messageName(req *dhcpv4.DHCPv4) string {
	if req != nil {
		switch t := req.MessageType(); t {
		case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeInform:
			return strings.ToLower(t.String())
		}
	}
	return "other"
}
