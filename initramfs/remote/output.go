package remote

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// restTime is how long, once a command has ended, more of its output is waited for, where something that it left behind holds on
// to it.
const restTime = 2 * time.Second

// output is on its way from a command to the client.
type output struct {
	files   []*os.File
	passing sync.WaitGroup
}

// pass begins to pass on what comes from a file.
func (o *output) pass(to io.Writer, from *os.File) {
	o.files = append(o.files, from)
	o.passing.Go(func() { drain(to, from) })
}

// finish waits, after the command's end, until everything has been passed on, and closes the files.
func (o *output) finish() {
	for _, f := range o.files {
		_ = f.SetReadDeadline(time.Now().Add(restTime))
	}
	o.passing.Wait()
	closeAll(o.files)
}

// drain copies to the end of a file, or until its deadline is over and nothing has come for restTime. A client that takes
// its time (one that pages through a log) makes writing long, not reading, and loses nothing.
func drain(to io.Writer, from *os.File) {
	buf := make([]byte, 32<<10)
	var last time.Time // when something had been passed on
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return // the client is gone
			}
			last = time.Now()
		}
		if rested := last.Add(restTime); errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(rested) {
			err = from.SetReadDeadline(rested)
		}
		if err != nil {
			return
		}
	}
}

func closeAll(lists ...[]*os.File) {
	for _, list := range lists {
		for _, f := range list {
			_ = f.Close()
		}
	}
}
