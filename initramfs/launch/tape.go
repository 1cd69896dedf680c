package launch

import (
	"bytes"
	"context"
	"regexp"
	"sync"
)

// Sizes of a tape in bytes.
const (
	// tapeSize is how much of a guest's output is kept for the next Attach.
	tapeSize = 64 << 10
	// tapeLag is how far a terminal may be behind before the guest has to wait for it, as it would for a terminal of its
	// own. It is less than tapeSize, so that nothing is lost on the way.
	tapeLag = 32 << 10
)

// tape is what a guest wrote to its terminal: all of it passes, the end is kept. Any number of goroutines may use it.
type tape struct {
	mu     sync.Mutex
	moved  sync.Cond // something below changed
	kept   []byte    // the last bytes, at most tapeSize
	end    int64     // how many bytes were written in all
	closed bool
	// hurry says that nobody is waited for any more.
	hurry bool
	// read is how far the attached terminal is; -1 if there is none.
	read int64
}

func newTape() *tape {
	t := &tape{read: -1}
	t.moved.L = &t.mu
	return t
}

// Write implements io.Writer. It waits for an attached terminal that is far behind.
func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.read >= 0 && t.end-t.read > tapeLag && !t.hurry {
		t.moved.Wait()
	}
	t.end += int64(len(p))
	if t.kept = append(t.kept, p...); len(t.kept) > tapeSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tapeSize:]...)
	}
	t.moved.Broadcast()
	return len(p), nil
}

// close says that no more comes.
func (t *tape) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.moved.Broadcast()
}

// rush stops waiting for the terminal: the guest has ended, and what is left is little.
func (t *tape) rush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hurry = true
	t.moved.Broadcast()
}

// content is what is kept.
func (t *tape) content() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.kept)
}

// attach begins to follow the tape for one terminal and returns what it should show first; false if there is one already.
func (t *tape) attach() (recent []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read >= 0 {
		return nil, false
	}
	t.read = t.end
	recent = bytes.Clone(t.kept)
	if t.end > int64(len(t.kept)) {
		// The beginning is gone, perhaps in the middle of an escape sequence.
		if i := bytes.IndexByte(recent, '\n'); i >= 0 {
			recent = recent[i+1:]
		}
	}
	return questions.ReplaceAll(recent, nil), true
}

// detach ends what attach began.
func (t *tape) detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read = -1
	t.moved.Broadcast()
}

// next waits for what comes after that which was read before. It returns nil when the tape has ended or ctx has.
func (t *tape) next(ctx context.Context) []byte {
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.moved.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.read == t.end && !t.closed && ctx.Err() == nil {
		t.moved.Wait()
	}
	if t.read < 0 || ctx.Err() != nil {
		return nil
	}
	fresh := bytes.Clone(t.kept[max(0, len(t.kept)-int(t.end-t.read)):])
	t.read = t.end
	t.moved.Broadcast()
	return fresh
}

// questions are the sequences that a terminal answers (ECMA-48 DSR and DA, DECRQM, OSC with a question mark): shown once
// more, they would have it type answers that the program doesn't wait for.
var questions = regexp.MustCompile(`\x1b\[[?>=]?[0-9;]*(?:[cn]|\$p)|\x1bZ|\x1b\][0-9;]*\?(?:\x07|\x1b\\)`)
