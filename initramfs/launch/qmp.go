package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// qmp is a client of QEMU's machine protocol (docs/interop/qmp-spec.rst in QEMU's source): lines of JSON, answers in the order
// of the commands, events between them.
type qmp struct {
	conn  net.Conn
	event func(q *qmp, name string, data qmpEvent)

	mu      sync.Mutex // one command at a time
	number  int        // of the last command
	answers chan qmpMessage
	// gone is closed when QEMU has closed the connection.
	gone chan struct{}
}

// qmpMessage is anything QEMU sends.
type qmpMessage struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Desc string `json:"desc"`
	} `json:"error"`
	// ID is the number of the command that is answered.
	ID    int      `json:"id"`
	Event string   `json:"event"`
	Data  qmpEvent `json:"data"`
}

// qmpEvent are the data of the events that are looked at (qapi/run-state.json, qapi/block-core.json).
type qmpEvent struct {
	// BLOCK_IO_ERROR
	Device  string `json:"device"`
	NoSpace bool   `json:"nospace"`
	// Why is what BLOCK_IO_ERROR and SHUTDOWN call reason.
	Why string `json:"reason"`
}

// qmpLine is the longest line that is taken from QEMU. Those of the commands used here have some hundred bytes.
const qmpLine = 1 << 20

// dialQMP shakes hands with QEMU, which answers once its machine is built. Events are given to a function, which must not
// wait for an answer.
func dialQMP(ctx context.Context, conn net.Conn, event func(q *qmp, name string, data qmpEvent)) (*qmp, error) {
	q := &qmp{conn: conn, event: event, answers: make(chan qmpMessage, 8), gone: make(chan struct{})}
	go q.read()
	select {
	case <-q.answers: // the greeting
	case <-q.gone:
		return nil, errQMPGone
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := q.execute(ctx, "qmp_capabilities", nil); err != nil {
		return nil, err
	}
	return q, nil
}

// errQMPGone says that QEMU ended or closed its monitor.
var errQMPGone = errors.New("QEMU closed its monitor")

// read takes what comes until the connection ends.
func (q *qmp) read() {
	defer close(q.gone)
	lines := bufio.NewScanner(q.conn)
	lines.Buffer(nil, qmpLine)
	for lines.Scan() {
		var m qmpMessage
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue // data of an event that has them in another form
		}
		if m.Event != "" {
			q.event(q, m.Event, m.Data)
			continue
		}
		select {
		case q.answers <- m:
		default: // to a command that nobody waits for any more
		}
	}
	_, _ = io.Copy(io.Discard, q.conn) // a line too long, after which QEMU must not block
}

// execute has QEMU do something; the answer is decoded into answer, unless that is nil.
func (q *qmp) execute(ctx context.Context, command string, answer any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.number++
	if _, err := fmt.Fprintf(q.conn, "{\"execute\":%q,\"id\":%d}\n", command, q.number); err != nil {
		return fmt.Errorf("ask QEMU to %s: %w", command, err)
	}
	for {
		select {
		case m := <-q.answers:
			switch {
			case m.ID != q.number: // to a command that was given up
			case m.Error != nil:
				return fmt.Errorf("QEMU refuses to %s: %s", command, m.Error.Desc)
			case answer == nil:
				return nil
			default:
				return json.Unmarshal(m.Return, answer)
			}
		case <-q.gone:
			return fmt.Errorf("ask QEMU to %s: %w", command, errQMPGone)
		case <-ctx.Done():
			return fmt.Errorf("ask QEMU to %s: %w", command, ctx.Err())
		}
	}
}

// status is the state of the virtual machine, such as running, paused, io-error or internal-error.
func (q *qmp) status(ctx context.Context) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	err := q.execute(ctx, "query-status", &answer)
	return answer.Status, err
}
