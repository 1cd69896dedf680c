package helpers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	// trialSize is how much of each file is compared, in bytes: helpers answer that beside what they send to machines. trialTime is how long it may take.
	trialSize = 64 << 10
	trialTime = 5 * time.Second
	// trialPause is how long after a trial that went well the next one is.
	trialPause = 10 * time.Second
	// outTime is how long a helper that was found wrong is not used.
	outTime = time.Minute
	// longest is how long a load from a helper may take where the seeder is not slower itself.
	longest = 20 * time.Second
)

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: trialTime}).DialContext, DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// slowest is how long a load of so many bytes from a helper may take.
func (b *Book) slowest(size int64) time.Duration { return max(longest, 2*b.pace.perLoad(size)) }

// slowestTrial is the same as a trial finds it. Of a helper from which machines load at that moment a trial gets what they leave: it says nothing of
// its speed, and what the machines needed does.
func (b *Book) slowestTrial(h *helper, size int64) time.Duration {
	if h.machines > 0 {
		return math.MaxInt64
	}
	return b.slowest(size)
}

// suspect has a helper looked at before more machines are sent to it.
func (b *Book) suspect(h *helper) {
	h.tried, h.next = time.Time{}, b.cfg.Now()
	b.wake()
}

// tryDue tries those helpers whose time has come, each in a goroutine of its own.
func (b *Book) tryDue(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	for _, h := range b.helpers {
		image := b.images[h.image]
		if !h.at.IsValid() || h.trying || image == nil || now.Before(h.next) || now.Before(h.out) {
			continue
		}
		if now.Sub(h.reported) > silence {
			b.drop(h, "its reports have stopped")
			continue
		}
		h.trying = true
		go b.try(ctx, h, *image, b.slowestTrial(h, image.size()))
	}
}

// try compares what a helper serves with the image, and notes how it went.
func (b *Book) try(ctx context.Context, h *helper, i Image, slowest time.Duration) {
	b.mu.Lock()
	base := "http://" + h.at.String()
	b.mu.Unlock()
	err := b.trial(ctx, base, i, slowest)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	h.trying, h.next = false, now.Add(trialPause)
	if err != nil {
		h.tried, h.out = time.Time{}, now.Add(outTime)
		b.log.Warn("a node that gives phase 1 away is not used for now", "ip", h.addr, "mac", h.mac, "err", err)
		return
	}
	if h.tried.IsZero() {
		b.log.Info("a node gives phase 1 to machines that start", "at", h.at, "mac", h.mac)
	}
	h.tried = now
}

// trial compares a part of each file, at a random place.
func (b *Book) trial(ctx context.Context, base string, i Image, slowest time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	began, got := time.Now(), int64(0)
	for _, f := range i.Files {
		n := min(trialSize, f.Size)
		if err := b.compare(ctx, base+f.Path, f, rand.Int64N(f.Size-n+1), n); err != nil {
			return fmt.Errorf("%s: %w", base+f.Path, err)
		}
		got += n
	}
	if took := time.Since(began); took.Seconds()*float64(i.size())/float64(got) > slowest.Seconds() {
		return fmt.Errorf("it is slow: %d bytes took %.1f s", got, took.Seconds())
	}
	return nil
}

// compare asks for n bytes of a file from an offset on, and compares them with the file here.
func (b *Book) compare(ctx context.Context, url string, f File, offset, n int64) error {
	want := make([]byte, n)
	file, err := os.Open(f.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.ReadAt(want, offset); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+n-1))
	resp, err := b.cfg.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if total := fmt.Sprintf("bytes %d-%d/%d", offset, offset+n-1, f.Size); resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != total {
		return fmt.Errorf("it answers %s with the range %q, want 206 with %q", resp.Status, resp.Header.Get("Content-Range"), total)
	}
	got, err := io.ReadAll(io.LimitReader(resp.Body, n+1))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("bytes %d to %d are not those of the image", offset, offset+n-1)
	}
	return nil
}
