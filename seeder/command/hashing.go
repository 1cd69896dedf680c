package command

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// hashing shows a progress bar while systems are being hashed, if w is a terminal.
type hashing struct {
	w    io.Writer
	show bool

	mu     sync.Mutex
	system string
	bar    *progressbar.ProgressBar
}

func newHashing(w io.Writer) *hashing {
	f, ok := w.(*os.File)
	return &hashing{w: w, show: ok && term.IsTerminal(int(f.Fd()))}
}

// progress is a store.Progress: done of total bytes of a system have been hashed.
func (h *hashing) progress(system string, done, total int64) {
	if !h.show {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bar == nil || h.system != system {
		h.system = system
		h.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(h.w), progressbar.OptionSetDescription("hashing "+system),
			progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	}
	_ = h.bar.Set64(done)
}

// finish takes the bar off the screen.
func (h *hashing) finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bar != nil {
		_ = h.bar.Finish()
		h.bar = nil
	}
}
