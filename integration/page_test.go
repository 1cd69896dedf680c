package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/browser"
	"github.com/boottorrent/boottorrent/internal/need"
)

// picturesVariable names the folder into which rooms write the pictures of the documentation; `make pictures` sets it.
const picturesVariable = "BOOTTORRENT_PICTURES"

// pagePassword is what a person types there, and pageKey is its key in boottorrent.yaml.
const pagePassword = "correct horse"

func pageKey(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(pagePassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("page: {password: %q}\n", hash)
}

// picture is the file of a picture: of the documentation's if those are made, else one of this test's.
func (r *room) picture(name string) string {
	if dir := os.Getenv(picturesVariable); dir != "" {
		return filepath.Join(dir, name+".png")
	}
	return filepath.Join(r.t.ArtifactDir(), name+".png")
}

// screenPicture writes what a machine's screen shows.
func (r *room) screenPicture(n *lab.Node, name string) {
	r.t.Helper()
	file := r.picture(name)
	r.must(n.SavePNG(r.t.Context(), file))
	data, err := os.ReadFile(file)
	r.must(err)
	small, err := browser.Small(data)
	r.must(err)
	r.must(os.WriteFile(file, small, 0o644))
}

// pageOf is the seeder's page, open in a browser on the seeder's host.
type pageOf struct {
	*browser.Tab
	r       *room
	browser *browser.Browser
}

// openPage opens the page as somebody does who is at the seeder.
func (r *room) openPage() *pageOf {
	r.t.Helper()
	need.Command(r.t, "chromium", "chromium")
	b := browser.New(r.t, func(cmd *exec.Cmd) {
		inside := r.host.Command(context.Background(), cmd.Path, cmd.Args[1:]...)
		cmd.Path, cmd.Args = inside.Path, inside.Args
	})
	return &pageOf{b.Open(r.seeder.Base+"/", browser.Look{Width: 1100, Height: 760, Still: true}), r, b}
}

// login logs in.
func (p *pageOf) login() {
	p.r.t.Helper()
	p.Click("details.login summary")
	p.Click("input[type=password]")
	p.Press(pagePassword)
	p.Click("details.login button")
	p.Await(soon, `document.querySelector("form[action='/logout']") !== null`)
}

// row is an expression of JavaScript: the row of a machine.
func rowOf(n *lab.Node) string {
	return fmt.Sprintf(`document.querySelector("[data-id='%s']")`, n.Config.NICs[0].MAC)
}

// cellOf is an expression of JavaScript: the text of a cell of a machine's row.
func cellOf(n *lab.Node, name string) string {
	return fmt.Sprintf(`(%s?.querySelector("[data-c=%s]")?.textContent ?? "")`, rowOf(n), name)
}

// awaitState waits until machines are in a state, without the page being loaded again.
func (p *pageOf) awaitState(within time.Duration, state string, nodes ...*lab.Node) {
	p.r.t.Helper()
	for _, n := range nodes {
		p.Await(within, fmt.Sprintf(`%s?.dataset.state === %q`, rowOf(n), state))
	}
}

// order chooses machines and clicks on a button.
func (p *pageOf) order(button string, nodes ...*lab.Node) {
	p.r.t.Helper()
	for _, n := range nodes {
		p.Click(fmt.Sprintf("[data-id='%s'] input[name=target]", n.Config.NICs[0].MAC))
	}
	p.Click(button)
}

// deskNames are the machines of the room as its people call them, by the MAC addresses of n1 to n3.
const deskNames = `groups:
  - name: front
    match: {mac: ["52:54:00:00:01:*"]}
  - name: all
machines:
  - {mac: "52:54:00:00:01:01", name: lectern, notes: by the door}
  - {mac: "52:54:00:00:02:01", name: desk-1}
  - {mac: "52:54:00:00:03:01", name: desk-2}
`

// tooLarge is what does not fit into a machine of 1024 MiB, in bytes.
const tooLarge = 900 << 20

// failAndReturn has somebody choose a system that does not fit, sees that on the page, and goes back to the chooser.
func (r *room) failAndReturn(page *pageOf, n *lab.Node) {
	r.t.Helper()
	c := n.Console()
	r.must(c.Send("/"))
	r.must(c.Send("large"))
	lab.AwaitScreen(r.t, c, soon, `(?s)/ large.*> Tiny system \(large\)`)
	r.must(c.Send(lab.Enter))
	page.awaitState(toMessage, "failed", n)
	page.Await(toMessage, cellOf(n, "note")+`.includes("does not fit into memory") && `+cellOf(n, "note")+`.includes("choose a smaller system")`)
	page.Await(toMessage, `document.querySelector("#machines tbody tr") === `+rowOf(n))
	page.Await(toMessage, `document.querySelector("[data-t=failed]").textContent === "1" && document.title.startsWith("1 failed")`)
	page.Picture(r.picture("page-failed"), false)
	r.must(c.Send("o"))
	lab.AwaitScreen(r.t, c, soon, `Tiny system \(tiny\)`)
	page.awaitState(toMessage, "waiting", n)
}

// orders has one machine woken and another told what to start next, by click.
func (p *pageOf) orders(wake, next *lab.Node) {
	p.r.t.Helper()
	p.order(`button[formaction="/api/v1/wake"]`, wake)
	lab.Await(p.r.t, p.r.seeder, soon, "machines are woken")
	p.Await(soon, `document.getElementById("live")?.textContent.includes("by themselves")`)
	p.Is(`document.querySelector("select[name=what]").value = "tiny"`)
	p.order(`button[formaction="/api/v1/next"]`, next)
	p.Await(soon, cellOf(next, "note")+`.includes("next start: tiny")`)
	p.order(`button[formaction="/api/v1/next/clear"]`, next)
	p.Await(soon, cellOf(next, "note")+` === ""`)
}

// watch sees the machines download: bars move, and the page is not loaded again.
func (p *pageOf) watch(nodes []*lab.Node) {
	p.r.t.Helper()
	p.Is(`window.same = true`)
	p.awaitState(toMessage, "downloading", nodes...)
	for _, percent := range []int{15, 45} {
		for _, n := range nodes {
			p.Await(toMessage, fmt.Sprintf(`Number(%s) > %d`, cellOf(n, "percent"), percent))
		}
	}
	p.Picture(p.r.picture("page"), false)
	p.r.screenPicture(nodes[0], "transfer")
	p.awaitState(toSystem, "running", nodes...)
	if p.Is(`window.same`) != "true" {
		p.r.t.Error("the page was loaded again")
	}
}

// after sees what is on the page when all run: who gave to whom, the sums, and the pages of a machine.
func (p *pageOf) after(nodes []*lab.Node) {
	p.r.t.Helper()
	p.awaitState(toMessage, "running", nodes...)
	p.Await(soon, `/^Downloading took the room .* \(3 machines\); one machine took /.test(document.querySelector("[data-t=time]").textContent)`)
	p.Await(soon, `/ copies of Tiny system \(tiny\) to 3 machines/.test(document.querySelector("[data-t=copies]").textContent)`)
	p.Await(soon, `/desk-[12] gave .* to lectern/.test(document.querySelector("#gave ul").textContent)`)
	p.Is(`document.getElementById("gave").scrollIntoView()`)
	p.Await(soon, `document.querySelector("#gave img").complete && document.querySelector("#gave img").naturalWidth > 0`)
	p.Picture(p.r.picture("page-gave"), false)
	for name, look := range map[string]browser.Look{"page-dark": {Width: 1100, Height: 760, Dark: true}, "page-phone": {Width: 390, Height: 844, Phone: true}} {
		tab := p.browser.Open(p.r.seeder.Base+"/", look)
		tab.Await(soon, `document.getElementById("live").textContent.includes("by themselves")`)
		tab.Picture(p.r.picture(name), false)
	}
	p.Click(fmt.Sprintf("[data-id='%s'] [data-c=name]", nodes[0].Config.NICs[0].MAC))
	p.Await(soon, `document.querySelector("h1")?.textContent === "lectern" && document.body.innerText.includes("by the door")`)
	p.Await(soon, `document.querySelector(".history tbody tr").innerText.includes("ran")`)
	p.Picture(p.r.picture("page-machine"), false)
	p.Click(fmt.Sprintf("a[href='/node/%s/log']", nodes[0].Config.NICs[0].MAC))
	p.Await(soon, `document.querySelector("pre.log")?.textContent.includes("Linux version 6.")`)
}
