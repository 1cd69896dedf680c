package daemon

import (
	"context"
	"net/http"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Decide says what holds for a machine by a site as it is written, and by what was said to be started next. Names that lead to no system count
// as little as in the catalog that would be published.
func Decide(s *site.Site, next []catalog.Next, facts rules.Facts) rules.Decision {
	cat := &catalog.Catalog{Defaults: s.Defaults, Limits: s.Limits.Node, Rules: s.Rules()}
	cat.Rules.Next = next
	for _, sys := range s.Systems {
		cat.Systems = append(cat.Systems, catalog.System{Name: sys.Name})
	}
	resolve(cat)
	return rules.For(cat, facts)
}

// Nodes asks what every node has reported. It returns [ErrNotRunning] where nobody answers.
func (c Control) Nodes(ctx context.Context) (nodes []report.Node, err error) {
	return nodes, c.ask(ctx, http.MethodGet, catalog.PathNodes, nil, &nodes)
}
