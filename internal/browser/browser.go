// Package browser drives Debian's Chromium in tests of the seeder's page: in go a URL and how it is looked at (a phone, in the dark,
// without scripts), out come what is on the page, clicks and pictures. What the browser complains of (scripts that throw, what the
// Content-Security-Policy forbids) fails the test.
package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/boottorrent/boottorrent/internal/need"
)

// Browser is a running Chromium.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// New starts Chromium until the test ends. Change may change how it is started, to run it in another network namespace; nil: it runs
// here. It skips the test where there is no Chromium.
func New(t testing.TB, change func(*exec.Cmd)) *Browser {
	t.Helper()
	path := need.Command(t, "chromium", "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		// As root, which tests are as a rule, Chromium has no sandbox; pages are our own.
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(2*time.Minute))
	if change != nil {
		options = append(options, chromedp.ModifyCmdFunc(change))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() { end(); cancel() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{t: t, ctx: ctx}
}

// Look is how a page is looked at.
type Look struct {
	// Width and Height are in CSS pixels; 0: those of a desk, 1200 × 800.
	Width, Height int64
	// Phone says that it has a touch screen and a viewport of its own.
	Phone bool
	// Dark prefers dark colours, Still no motion.
	Dark, Still bool
	// NoScript runs no scripts.
	NoScript bool
}

// Tab is an open page.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Open opens a page, and closes it when the test ends.
func (b *Browser) Open(url string, look Look) *Tab {
	b.t.Helper()
	tab := &Tab{t: b.t}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithListener(tab.listen))
	tab.ctx = ctx
	b.t.Cleanup(func() {
		cancel()
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, c := range tab.complaints {
			b.t.Errorf("the browser complains at %s: %s", url, c)
		}
	})
	if look.Width == 0 {
		look.Width, look.Height = 1200, 800
	}
	scheme, motion := "light", "no-preference"
	if look.Dark {
		scheme = "dark"
	}
	if look.Still {
		motion = "reduce"
	}
	tab.Do(func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		_, err1 := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		_, err2 := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: look.Width, Height: look.Height, DeviceScaleFactor: 1, Mobile: look.Phone})
		_, err3 := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}}})
		_, err4 := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: look.NoScript})
		return none, errors.Join(err1, err2, err3, err4)
	}, chromedp.Navigate(url))
	return tab
}

// listen notes what the browser complains of.
func (tab *Tab) listen(event any) {
	var complaint string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "Failed to load resource") {
			complaint = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			complaint += " " + e.ExceptionDetails.Exception.Description
		}
	case *page.EventJavascriptDialogOpening:
		// People say yes.
		go func() {
			_, _ = chromedp.Call(tab.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
	if complaint != "" {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.complaints = append(tab.complaints, complaint)
	}
}

// patience bounds everything that a page may take; nothing waits for it.
const patience = 90 * time.Second

// Do does something in the page.
func (tab *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	run(tab, chromedp.Steps(actions...))
}

// run does something in the page, and returns what comes of it.
func run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.t.Helper()
	value, err := try(tab, action)
	if err != nil {
		tab.t.Fatal(err)
	}
	return value
}

func try[T any](tab *Tab, action chromedp.Action[T]) (value T, err error) {
	ended := make(chan struct{})
	var got T
	var failed error
	// The first context of a tab is that with which it is closed, so it has no deadline of its own.
	go func() {
		defer close(ended)
		got, failed = chromedp.Run(tab.ctx, action)
	}()
	select {
	case <-ended:
		return got, failed
	case <-time.After(patience):
		return value, fmt.Errorf("the browser took longer than %v", patience)
	}
}

// Is evaluates an expression of JavaScript, as a text.
func (tab *Tab) Is(expression string) string {
	tab.t.Helper()
	return run(tab, chromedp.Evaluate[string]("String("+expression+")"))
}

// Await waits until an expression of JavaScript is true.
func (tab *Tab) Await(within time.Duration, expression string) {
	tab.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		// Between two documents there is nothing to evaluate in.
		if value, err := try(tab, chromedp.Evaluate[string]("String("+expression+")")); err == nil && value == "true" {
			return
		}
		if time.Now().After(end) {
			tab.t.Fatalf("not within %v: %s; the page says:\n%s", within, expression, tab.Is("document.body.innerText"))
		}
	}
}

// Click clicks on the first element that a CSS selector finds.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Press presses keys, one after the other (package kb of chromedp has those without a letter).
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.Do(chromedp.KeyEvent(keys))
}

// Picture writes what the page looks like to a PNG file: all of it, or what is seen without scrolling. Of the colours those stay that
// are there most, so that it is small.
func (tab *Tab) Picture(file string, all bool) {
	tab.t.Helper()
	shot := chromedp.CaptureScreenshot()
	if all {
		shot = chromedp.FullScreenshot(100)
	}
	small, err := Small(run(tab, shot))
	if err == nil {
		err = os.WriteFile(file, small, 0o644)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}

// Small makes a PNG file smaller, by having at most 256 colours: those that are there most.
func Small(data []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	small := image.NewPaletted(img.Bounds(), palette(img))
	nearest := map[color.RGBA]uint8{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			i, ok := nearest[c]
			if !ok {
				i = uint8(small.Palette.Index(c))
				nearest[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small)
	return b.Bytes(), err
}

// palette has the colours of a picture that are there most.
func palette(img image.Image) (p color.Palette) {
	number := map[color.RGBA]int{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			number[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	for len(p) < 256 && len(number) > 0 {
		var most color.RGBA
		for c, n := range number {
			if n > number[most] || n == number[most] && fmt.Sprint(c) < fmt.Sprint(most) {
				most = c
			}
		}
		p = append(p, most)
		delete(number, most)
	}
	return p
}
