package page

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/boottorrent/boottorrent/internal/browser"
	"github.com/boottorrent/boottorrent/internal/report"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// soon is what a page shows within a moment.
const soon = 20 * time.Second

// cell is an expression of JavaScript: the text of a cell of a machine's row.
func cell(mac, name string) string {
	return `document.querySelector('[data-id="` + mac + `"] [data-c=` + name + `]')?.textContent`
}

// A room as a person sees it: bars move, machines come, fail and go without the page being loaded again; the keyboard's focus stays where
// it is when rows change places.
func TestInBrowser(t *testing.T) {
	b := browser.New(t, nil)
	f := newFake(t, nil)
	f.set(desk(1, 10), desk(2, 20))
	url := f.serve()
	tab := b.Open(url+"/", browser.Look{})
	tab.Await(soon, `document.getElementById("live").textContent.includes("by themselves")`)
	tab.Is(`window.same = true`)

	f.set(desk(1, 63), desk(2, 70))
	tab.Await(soon, cell("52:54:00:00:00:01", "percent")+` === "63"`)
	tab.Await(soon, `document.querySelector('[data-id="52:54:00:00:00:01"] progress').value === 63`)

	// The focus is on the last machine's link when another one comes, and that one then fails and goes to the top.
	tab.Is(`document.querySelector('[data-id="52:54:00:00:00:02"] [data-c=name]').focus()`)
	f.set(desk(1, 70), desk(2, 75), desk(3, 5))
	tab.Await(soon, cell("52:54:00:00:00:03", "name")+` === "desk-3"`)
	f.set(desk(1, 71), desk(2, 76), failedNode(3, `<img src=x onerror="alert(1)"> no carrier`))
	tab.Await(soon, `document.querySelector("#machines tbody tr").dataset.id === "52:54:00:00:00:03"`)
	tab.Await(soon, `document.title.startsWith("1 failed")`)
	tab.Await(soon, `document.getElementById("say").textContent.includes("desk-3 failed: no network")`)
	if note := tab.Is(cell("52:54:00:00:00:03", "note")); !strings.HasPrefix(note, `<img src=x onerror="alert(1)"> no carrier. Try:`) {
		t.Errorf("the note of the failed one: %s", note)
	}
	if got := tab.Is(`document.activeElement.textContent`); got != "desk-2" {
		t.Errorf("the focus is on %q, want desk-2", got)
	}
	// A new row leads to its machine's page, and from there to its log and history.
	if href := tab.Is(`document.querySelector('[data-id="52:54:00:00:00:03"] .log a').getAttribute("href")`); href != "/node/52%3A54%3A00%3A00%3A00%3A03/log" {
		t.Errorf("the log of the new one is at %s", href)
	}
	f.set(desk(1, 72), desk(2, 77))
	tab.Await(soon, `document.querySelectorAll("#machines tbody tr").length === 4`) // with two that the site knows
	tab.Await(soon, `document.querySelector("[data-t=failed]").textContent === "0"`)
	tab.Await(soon, `document.querySelector("#gave img").complete && document.querySelector("#gave img").naturalWidth > 0`)
	if tab.Is(`window.same`) != "true" {
		t.Error("the page was loaded again")
	}
	// By keyboard alone: the first stop leads to the content.
	tab.Is(`document.activeElement.blur()`)
	again := b.Open(url+"/", browser.Look{})
	again.Press(kb.Tab)
	if got := again.Is(`document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop of the keyboard is %q", got)
	}
	again.Press(kb.Enter)
	again.Await(soon, `document.activeElement.id === "main"`)
	for i := 0; again.Is(`document.activeElement.textContent`) != "desk-1"; i++ {
		if i > 20 {
			t.Fatal("the keyboard doesn't reach the machines")
		}
		again.Press(kb.Tab)
	}
	again.Press(kb.Enter)
	again.Await(soon, `document.querySelector("h1")?.textContent === "desk-1"`)
}

// Without scripts the page is a table that loads itself again; on a phone and in the dark it is one as well, nothing is wider than the
// screen, and there is no text of too little contrast (WCAG 2.2, 1.4.3: 4.5 to 1).
func TestLooks(t *testing.T) {
	b := browser.New(t, nil)
	f := newFake(t, nil)
	f.setPerson(page.Person{Password: true, LoggedIn: true, CSRF: "x"})
	gives := desk(6, 100)
	gives.Step, gives.Complete, gives.Up, gives.Uploaded = report.Give, true, 3<<20, 700<<20
	gives.FetchEnded = gives.FetchBegan.Add(12 * time.Second)
	slow := desk(5, 12)
	slow.LinkMbps, slow.Down = 100, 1<<20
	f.set(desk(1, 71), desk(2, 64), failedNode(3, "no carrier on eth0"), desk(4, 55), slow, gives)
	url := f.serve()
	for name, look := range map[string]browser.Look{
		"desk": {}, "dark": {Dark: true}, "phone": {Width: 390, Height: 844, Phone: true}, "phone in the dark": {Width: 390, Height: 844, Phone: true, Dark: true},
		"without scripts": {NoScript: true},
	} {
		tab := b.Open(url+"/", look)
		file := filepath.Join(t.ArtifactDir(), strings.ReplaceAll(name, " ", "-")+".png")
		if look.NoScript {
			tab.Picture(file, true)
			continue
		}
		tab.Await(soon, `document.getElementById("live").textContent !== ""`)
		tab.Await(soon, `document.querySelector("#gave img").complete`)
		tab.Picture(file, true)
		if wide := tab.Is(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != "0" {
			t.Errorf("%s: the page is %s pixels wider than the screen", name, wide)
		}
		if poor := tab.Is(contrast); poor != "" {
			t.Errorf("%s: too little contrast: %s", name, poor)
		}
		if missing := tab.Is(unnamed); missing != "" {
			t.Errorf("%s: without a name for who hears the page: %s", name, missing)
		}
	}
}

// contrast finds texts whose colour is too near to that behind them.
const contrast = `(() => {
  const parse = (c) => { const cv = document.createElement("canvas").getContext("2d"); cv.fillStyle = c; cv.fillRect(0, 0, 1, 1); return cv.getImageData(0, 0, 1, 1).data; };
  const light = (c) => { const [r, g, b] = [0, 1, 2].map((i) => { const v = c[i] / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { const all = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); all.push(c); if (c[3] === 255) break; }
    let out = [255, 255, 255]; for (const c of all.reverse()) out = out.map((v, i) => v * (1 - c[3] / 255) + c[i] * (c[3] / 255)); return out; };
  const poor = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest("select,option,button")) continue; // the browser's own colours
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.add(e.tagName + "." + e.className + " " + ratio.toFixed(1) + " " + e.textContent.trim().slice(0, 30));
  }
  return [...poor].join("; ");
})()`

// unnamed finds what can be used and has no name.
const unnamed = `[...document.querySelectorAll("a, button, input:not([type=hidden]):not([hidden]), select, progress, img, table, section, nav")].filter((e) =>
  !(e.ariaLabel || e.textContent.trim() || e.alt || e.labels?.length || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML.slice(0, 80)).join("; ")`

// Buttons work by click and without scripts: forms that have the chosen machines in them.
func TestButtonsInBrowser(t *testing.T) {
	b := browser.New(t, nil)
	f := newFake(t, nil)
	f.setPerson(page.Person{Password: true, LoggedIn: true, CSRF: "token"})
	f.set(desk(1, 10), desk(2, 20))
	got := make(chan string, 4)
	url := f.serveWith(func(mux *http.ServeMux) {
		mux.HandleFunc("POST /api/v1/", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			got <- r.URL.Path + " " + strings.Join(r.PostForm["target"], ",") + " " + r.PostFormValue("csrf") + " " + r.PostFormValue("action") + r.PostFormValue("what")
			http.Redirect(w, r, r.PostFormValue("back"), http.StatusSeeOther)
		})
	})
	for _, look := range []browser.Look{{}, {NoScript: true}} {
		for button, want := range map[string]string{
			`button[formaction="/api/v1/wake"]`: "/api/v1/wake 52:54:00:00:00:02 token menu",
			`button[formaction="/api/v1/next"]`: "/api/v1/next 52:54:00:00:00:02 token menu",
			`button[value=reboot]`:              "/api/v1/orders 52:54:00:00:00:02 token rebootmenu",
		} {
			tab := b.Open(url+"/", look)
			tab.Click(`input[value="52:54:00:00:00:02"]`)
			tab.Click(button)
			select {
			case posted := <-got:
				if posted != want {
					t.Errorf("%s (no scripts: %v) sends %q, want %q", button, look.NoScript, posted, want)
				}
			case <-time.After(soon):
				t.Errorf("%s (no scripts: %v) sends nothing", button, look.NoScript)
			}
		}
	}
}
