package command

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever waits for minutes is told every 15 seconds what is being done, and how far it is.
func TestStepsTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newSteps(&out)
		s.began("compile")
		s.began("compress")
		s.counted("compile", 12, 900)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		s.took("compress", 16*time.Second)
		s.counted("compile", 100, 900)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		s.took("compile", 31*time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
		s.close()
		want := "still busy: compile: 12 of 900 packages, 15 s; compress, 15 s\nstill busy: compile: 100 of 900 packages, 30 s\n"
		if out.String() != want {
			t.Errorf("it says\n%s, want\n%s", &out, want)
		}
	})
}

// On a terminal the line moves, and is not in the way of the log.
func TestStepsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &steps{out: &out, terminal: true, ticker: time.NewTicker(time.Hour), ended: make(chan struct{})}
		s.began("compile")
		s.show(time.Now())
		if _, err := s.Write([]byte("a line of the log\n")); err != nil {
			t.Fatal(err)
		}
		s.show(time.Now())
		s.close()
		if got, want := strings.ReplaceAll(out.String(), "\r\x1b[K", "<"), "<compile, 0 s<a line of the log\n<compile, 0 s<"; got != want {
			t.Errorf("the terminal gets %q, want %q", got, want)
		}
	})
}

// What is counted in bytes has a bar.
func TestStepsOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &steps{out: &out, terminal: true, ticker: time.NewTicker(time.Hour), ended: make(chan struct{})}
		s.began("copy")
		for _, done := range []int64{0, 1 << 29, 1 << 30} {
			s.countedBytes("copy", done, 1<<30)
			s.show(time.Now())
		}
		s.close()
		want := "<copy [--------------------] 0 % of 1.0 GiB, 0 s<copy [##########----------] 50 % of 1.0 GiB, 0 s<copy [####################] 100 % of 1.0 GiB, 0 s<"
		if got := strings.ReplaceAll(out.String(), "\r\x1b[K", "<"); got != want {
			t.Errorf("the terminal gets %q, want %q", got, want)
		}
	})
}
