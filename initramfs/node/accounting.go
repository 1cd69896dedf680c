package node

import (
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// accountTime is how often the numbers of seeding are reported while a system runs.
const accountTime = time.Second

// startAccounting reports how the seeding of a system goes until the engine is stopped: as long as it runs beside this
// program, and afterwards in the chooser too.
func (n *Node) startAccounting(sys catalog.System) {
	n.stopAccounting()
	engine := n.engine
	if engine == nil {
		return
	}
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(accountTime)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if s, ok := engine.Stats(sys.InfoHash); ok {
					n.account(s)
				}
			}
		}
	}()
	n.stopAccounting = func() {
		close(ended)
		<-stopped
		n.stopAccounting = func() {}
	}
}
