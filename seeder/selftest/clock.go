package selftest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/counter"
)

// clockSlack is how far the catalog's counter may be ahead of the clock without a word: changes of a site that come faster than one a
// second let it run ahead.
const clockSlack = time.Hour

// clock compares this machine's clock with the catalog's counter, which begins with the time of day and only grows.
func (in Input) clock() []Finding {
	l := &list{about: "clock"}
	state := filepath.Join(in.Site.Dir, site.StateDir)
	last, err := counter.Read(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		l.note("what counter the last catalog had can't be read by this user: "+err.Error(), "run this as the user that serves the site")
		return l.found
	}
	if err != nil {
		l.warning(fmt.Sprintf("the catalog's last counter is not known (%v), and goes on from this machine's clock", err),
			"see that the clock is right (timedatectl), as nodes refuse a catalog with a smaller counter than they have seen")
		return l.found
	}
	now := time.Now
	if in.Now != nil {
		now = in.Now
	}
	if of := time.Unix(int64(last), 0); of.Sub(now()) > clockSlack {
		l.warning(fmt.Sprintf("the catalog's counter %d stands for %s, and this machine's clock says %s: it is behind, or was ahead once. The counter goes on growing "+
			"as long as %s is kept; if that is lost, nodes refuse the catalog until they are started again, and sticks for good",
			last, of.UTC().Format("2006-01-02 15:04"), now().UTC().Format("2006-01-02 15:04 MST"), state), "set the clock (timedatectl), and have "+state+" in the backup")
	}
	return l.found
}
