package integration

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Somebody between node and seeder replays an old catalog with its signature. The node refuses it in the same boot, and, as its stick
// remembers, after its power was cut; when the seeder's own catalog comes again, it goes on by itself.
func TestOldCatalogIsRefused(t *testing.T) {
	r := newRoom(t, "timeout: -1\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	machine := lab.NodeConfig{Name: "stick", Disks: []lab.Disk{{Path: r.stick("seeder: http://10.77.0.66:8080\r\n"), USB: true, Writable: true}}}
	r.dhcp()
	r.serve()
	old := map[string][]byte{catalog.PathCatalog: r.fetch(catalog.PathCatalog), catalog.PathSignature: r.fetch(catalog.PathSignature)}
	r.seeder.Stop()
	r.serve()
	var replay atomic.Bool
	r.liar(func(path string, body []byte) []byte {
		if b, ok := old[path]; ok && replay.Load() {
			return b
		}
		return body
	})

	n := r.node(machine)
	lab.Await(t, n.Console(), toChooser, `the highest counter of a catalog that was seen is 0\n`)
	counter := lab.Await(t, n.Console(), soon, `the medium keeps the catalog's counter (\d+)\n`)[1]
	lab.AwaitScreen(t, n.Console(), soon, `Tiny system`)
	replay.Store(true)
	r.must(n.Console().Send("s"))
	lab.Await(t, n.Console(), soon, `lists all commands`)
	r.must(n.Console().Send("choose" + lab.Enter))
	lab.Await(t, n.Console(), soon, `offers a catalog with the counter \d+, and this machine has seen one in this boot with the counter `+counter)
	n.Stop() // as when its power is cut

	machine.Name = "again"
	n = r.node(machine)
	lab.Await(t, n.Console(), toChooser, `the highest counter of a catalog that was seen is `+counter+`\n`)
	lab.AwaitScreen(t, n.Console(), soon, wrapped(`The catalog is refused: it is older than one that this machine has seen.*`+
		`http://10\.77\.0\.66:8080 offers a catalog with the counter \d+, and the stick that this machine was started from has seen one with the counter `+
		counter+`.*somebody may be replaying.*starting again doesn't help`))
	lab.Await(t, r.seeder, soon, `node: step failed.*`+n.Config.NICs[0].MAC+`.*has seen one with the counter `+counter)
	replay.Store(false)
	lab.AwaitScreen(t, n.Console(), toMessage, `Tiny system`)
}

// fetch gets what the seeder serves at a path.
func (r *room) fetch(path string) []byte {
	r.t.Helper()
	resp, err := r.host.HTTP().Get(r.seeder.Base + path)
	r.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	r.must(err)
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %s", path, resp.Status)
	}
	return b
}
