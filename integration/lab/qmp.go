package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// qmpTime is how long QEMU has to answer. It answers at once unless the machine it runs on is overloaded.
const qmpTime = 60 * time.Second

// qmp is a connection to a QEMU's monitor (QEMU Machine Protocol, docs/interop/qmp-spec). One command at a time.
type qmp struct {
	conn    net.Conn
	busy    sync.Mutex
	answers chan qmpMessage // closed when the connection ends

	mu       sync.Mutex
	shutdown string
}

type qmpMessage struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

func newQMP(conn net.Conn) *qmp {
	q := &qmp{conn: conn, answers: make(chan qmpMessage, 1)}
	go q.read()
	return q
}

// read passes answers on and keeps what is to be kept of events.
func (q *qmp) read() {
	defer close(q.answers)
	in := json.NewDecoder(q.conn)
	for {
		var m qmpMessage
		if err := in.Decode(&m); err != nil {
			return
		}
		if m.Event == "" {
			q.answers <- m
			continue
		}
		if m.Event == "SHUTDOWN" {
			q.mu.Lock()
			q.shutdown = m.Data.Reason
			q.mu.Unlock()
		}
	}
}

func (q *qmp) shutdownReason() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.shutdown
}

// greet awaits QEMU's greeting and enters command mode.
func (q *qmp) greet(ctx context.Context) error {
	q.busy.Lock()
	m, err := q.answer(ctx)
	q.busy.Unlock()
	if err != nil {
		return fmt.Errorf("qmp: await QEMU's greeting: %w", err)
	}
	if m.Greeting == nil {
		return errors.New("qmp: QEMU did not greet")
	}
	return q.execute(ctx, "qmp_capabilities", nil)
}

// execute runs a command and awaits its end.
func (q *qmp) execute(ctx context.Context, command string, arguments any) error {
	q.busy.Lock()
	defer q.busy.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	m, err := q.answer(ctx)
	if err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	if m.Error != nil {
		return fmt.Errorf("qmp %s: %s: %s", command, m.Error.Class, m.Error.Desc)
	}
	return nil
}

// answer awaits one message. After a failure the connection is closed, so that no late answer is taken for another's.
func (q *qmp) answer(ctx context.Context) (qmpMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, qmpTime)
	defer cancel()
	select {
	case m, ok := <-q.answers:
		if !ok {
			return m, errors.New("QEMU has ended")
		}
		return m, nil
	case <-ctx.Done():
		q.conn.Close()
		return qmpMessage{}, ctx.Err()
	}
}
