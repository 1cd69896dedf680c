package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Opcodes (RFC 1350 section 5, RFC 2347).
const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOACK  = 6
)

// Error codes (RFC 1350, appendix I).
const (
	codeUndefined = 0
	codeNotFound  = 1
	codeAccess    = 2
	codeIllegal   = 4
)

// Bounds of the options we agree to, whatever is asked for.
const (
	defaultBlockSize = 512
	// minBlockSize is RFC 2348's; maxBlockSize is what fits an Ethernet frame, and less is agreed to where the path to the
	// client takes less (request.fit). Boot ROMs are poor at putting fragments together.
	minBlockSize = 8
	maxBlockSize = 1500 - headersLen
	// headersLen is the length of the headers in front of a block: IP, UDP, TFTP.
	headersLen = 20 + 8 + 4
	// maxWindow keeps a burst within the few dozen frames a boot ROM has buffers for (RFC 7440).
	maxWindow = 16
	// maxAskedTimeout is the longest timeout agreed to, so that a silent client is left within maxSilence. RFC 2349 has values
	// up to 255 s; one that is not agreed to counts as not asked for.
	maxAskedTimeout = 10 * time.Second
)

// request is a parsed read request.
type request struct {
	name string
	// blockSize, window and timeout are as we agree to them.
	blockSize int
	window    int
	timeout   time.Duration
	// agreed are the options to acknowledge, in the order asked for.
	agreed []option
	// takesAhead is whether the client takes blocks that it has not asked for; see ahead.go.
	takesAhead bool
}

type option struct{ name, value string }

// refusal is an error that the client is told as a TFTP error packet.
type refusal struct {
	code uint16
	text string
}

func (r *refusal) Error() string { return r.text }

// errIgnore is returned for packets that are not to be answered.
var errIgnore = errors.New("not a request")

// parseRequest reads the first packet of a client. The error is a *refusal to be sent back, or errIgnore.
func parseRequest(packet []byte) (request, error) {
	if len(packet) < 2 {
		return request{}, errIgnore
	}
	switch binary.BigEndian.Uint16(packet) {
	case opRead:
	case opWrite:
		return request{}, &refusal{codeAccess, "this server is read-only"}
	case opData, opAck, opError:
		// Stragglers of a transfer that has ended. An error is never answered with an error.
		return request{}, errIgnore
	default:
		return request{}, &refusal{codeIllegal, "not a TFTP read request"}
	}
	fields := bytes.Split(packet[2:], []byte{0})
	// Every string ends with a NUL, so something unterminated, usually nothing, is behind the last.
	fields = fields[:len(fields)-1]
	if len(fields) < 2 || len(fields[0]) == 0 {
		return request{}, &refusal{codeIllegal, "read request without file name or mode"}
	}
	if mode := string(fields[1]); !strings.EqualFold(mode, "octet") {
		return request{}, &refusal{codeIllegal, fmt.Sprintf("transfer mode %.20q: only octet (binary) is served", mode)}
	}
	r := request{name: string(fields[0]), blockSize: defaultBlockSize, window: 1, timeout: defaultTimeout}
	var asked []option
	for options := fields[2:]; len(options) >= 2; options = options[2:] {
		o := option{strings.ToLower(string(options[0])), string(options[1])}
		r.negotiate(o.name, o.value)
		asked = append(asked, o)
	}
	// Where something was not agreed to, whoever asked is none of those; and without an option there is no acknowledgement to wait for before
	// blocks are sent.
	r.takesAhead = takesBlocksAhead(asked) && len(r.agreed) == len(asked)
	return r, nil
}

// negotiate takes one option. Unknown ones, values out of their range and repetitions are not acknowledged, which RFC
// 2347 makes the same as never having been asked for.
func (r *request) negotiate(name, value string) {
	for _, o := range r.agreed {
		if o.name == name {
			return
		}
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return
	}
	switch {
	case name == "blksize" && n >= minBlockSize && n <= 65464: // RFC 2348
		r.blockSize = int(min(n, maxBlockSize))
		n = uint64(r.blockSize)
	case name == "windowsize" && n >= 1 && n <= 65535: // RFC 7440
		r.window = int(min(n, maxWindow))
		n = uint64(r.window)
	case name == "timeout" && n >= 1 && n <= uint64(maxAskedTimeout/time.Second): // RFC 2349
		r.timeout = time.Duration(n) * time.Second
	case name == "tsize": // RFC 2349; the value is filled in when the file is open
	default:
		return
	}
	r.agreed = append(r.agreed, option{name, strconv.FormatUint(n, 10)})
}

// fit makes blocks as small as the path to the client needs, if the client lets their size be chosen.
func (r *request) fit(mtu int) {
	for i, o := range r.agreed {
		if o.name == "blksize" && mtu > headersLen+minBlockSize {
			r.blockSize = min(r.blockSize, mtu-headersLen)
			r.agreed[i].value = strconv.Itoa(r.blockSize)
		}
	}
}

// optionAck is the OACK packet for a file of that size, or nil if there is nothing to acknowledge.
func (r *request) optionAck(size int64) []byte {
	if len(r.agreed) == 0 {
		return nil
	}
	b := binary.BigEndian.AppendUint16(nil, opOACK)
	for _, o := range r.agreed {
		if o.name == "tsize" {
			o.value = strconv.FormatInt(size, 10)
		}
		b = append(b, o.name+"\x00"+o.value+"\x00"...)
	}
	return b
}

func errorPacket(r *refusal) []byte {
	b := binary.BigEndian.AppendUint16(nil, opError)
	b = binary.BigEndian.AppendUint16(b, r.code)
	b = append(b, r.text...)
	return append(b, 0)
}
