package tftp

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that goes silent is sent the same again after 1, 2, 4, 4 and 4 more seconds, and given up 4 s later; one that
// asked for a longer timeout is never sent anything sooner than that, and given up after half a minute all the same. One that was
// never heard gets a single packet.
func TestSilence(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration
		heard   bool
		want    []time.Duration
		ends    time.Duration
	}{
		"default":   {defaultTimeout, true, []time.Duration{0, 1, 3, 7, 11, 15}, 19},
		"asked for": {10 * time.Second, true, []time.Duration{0, 10, 20}, 30},
		"uneven":    {7 * time.Second, true, []time.Duration{0, 7, 14, 21, 28}, 30},
		"made up":   {10 * time.Second, false, []time.Duration{0}, 10},
	} {
		for _, option := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					sent, err := runSilent(t, c.timeout, c.heard, option)
					ended := time.Since(start)
					var at []time.Duration
					for _, s := range sent {
						at = append(at, s.Sub(start)/time.Second)
					}
					if !slices.Equal(at, c.want) || ended != c.ends*time.Second {
						t.Errorf("sent at %v s, given up after %s; want %v s and %d s", at, ended, c.want, c.ends)
					}
					if err == nil || !strings.Contains(err.Error(), "no acknowledgement in") {
						t.Errorf("error %v", err)
					}
				})
			})
		}
	}
}

// runSilent runs a transfer of one block to a client that only reads, and returns when what was sent came. With withOption
// there is an option acknowledgement first, which the client doesn't acknowledge either.
func runSilent(t *testing.T, timeout time.Duration, heard, withOption bool) (sent []time.Time, err error) {
	server, client := net.Pipe()
	req := request{name: "f", blockSize: defaultBlockSize, window: 1, timeout: timeout}
	head := data(1)
	if withOption {
		req.agreed, head = []option{{"tsize", "0"}}, string(binary.BigEndian.AppendUint16(nil, opOACK))
	}
	ended := make(chan error, 1)
	go func() {
		x := transfer{conn: server, request: req, file: bytes.NewReader([]byte("content")), size: 7, heard: heard}
		ended <- x.run(t.Context())
		server.Close()
	}()
	buf := make([]byte, 1000)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return sent, <-ended
		}
		sent = append(sent, time.Now())
		if !strings.HasPrefix(string(buf[:n]), head) {
			t.Errorf("packet %q, want one that starts with %q", buf[:n], head)
		}
	}
}
