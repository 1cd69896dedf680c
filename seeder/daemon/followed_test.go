package daemon

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// shows reports whether what is served at a path has all of the texts, whatever tags and white space are between their words.
func shows(base, path string, texts ...string) (string, bool) {
	body := string(regexp.MustCompile(`<[^>]*>`).ReplaceAll(read(base, path), []byte(" ")))
	body = strings.Join(strings.Fields(body), " ")
	for _, text := range texts {
		if !strings.Contains(body, text) {
			return fmt.Sprintf("%q is missing in: %s", text, body), false
		}
	}
	return "", true
}

// A person who looks at a mirror, or at the seeder that it follows, sees how they stand with each other.
func TestMirrorIsShown(t *testing.T) {
	s := newSite(t)
	writeSystem(t, s.Dir, "two", 'b')
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", "systems: [one]\n"))
	awaitSystem(t, second.base, "one", status.Published)
	awaitListed(t, first.base, second.base)
	say(t, second.base, catalog.PathReport, waits("one"))
	await(t, "the first seeder has the node", func() bool { return nodeOf(first.base, behind).Boot == "one" })
	await(t, "the mirror knows that it is listed", func() bool { m := statusOf(second.base).Mirror; return m != nil && m.Listed == second.base })

	for _, want := range []struct {
		base, path string
		texts      []string
	}{
		{second.base, "/", []string{"this is a mirror of " + first.base + ", in step since", "its catalog was made", "is fetched when a machine wants it"}},
		{first.base, "/", []string{"Mirrors " + second.base + " in step, 1 machines behind it", "behind the mirror " + strings.TrimPrefix(second.base, "http://")}},
		{second.base, web.PathReady, []string{"ready"}},
		{second.base, metrics.Path, []string{"boottorrent_mirror_in_step 1", `boottorrent_forwarded_total{result="sent",what="reports"} 1`, `boottorrent_systems{state="not_carried"} 1`}},
		{first.base, metrics.Path, []string{`boottorrent_mirrors{state="in_step"} 1`, "boottorrent_nodes_behind_mirrors 1"}},
	} {
		await(t, want.base+want.path+" says it", func() bool { _, ok := shows(want.base, want.path, want.texts...); return ok })
	}
	if text, there := shows(first.base, metrics.Path, "boottorrent_mirror_in_step"); there {
		t.Errorf("the site's own seeder says that it is a mirror: %s", text)
	}
	found := string(read(second.base, "/api/selftest"))
	for _, wrong := range []string{"mkimage", "secret", "apt-get install ipxe", `"about":"key"`} {
		if strings.Contains(found, wrong) {
			t.Errorf("the self-test of a mirror speaks of %s: %s", wrong, found)
		}
	}

	control := Control{Dir: second.dir}
	for path, request := range map[string]api.Request{
		"next": {Targets: []string{behind}, What: "one"}, "next/clear": {Targets: []string{behind}}, "orders": {Targets: []string{behind}, Action: "reboot"},
	} {
		if err := control.Post(t.Context(), path, request, &struct{}{}); err == nil || !strings.Contains(err.Error(), first.base) {
			t.Errorf("%s at a mirror: %v; want where to say it", path, err)
		}
	}
	if _, err := control.Publish(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), first.base) {
		t.Errorf("publish at a mirror: %v; want where to say it", err)
	}

	cancel()
	<-first.ended
	say(t, second.base, catalog.PathReport, waits("one"))
	await(t, "the mirror says that the first seeder is away", func() bool {
		_, ok := shows(second.base, "/", "this is a mirror of "+first.base+", away since", "the catalog that is served on was made", "last reports of 1 machines")
		return ok
	})
	await(t, "so do its metrics", func() bool { _, ok := shows(second.base, metrics.Path, "boottorrent_mirror_in_step 0"); return ok })
	if _, ok := shows(second.base, web.PathReady, "ready"); !ok {
		t.Error("a mirror that is alone is not ready")
	}
}

// Trackers of one site tell each other how many peers they know.
func TestTrackersCount(t *testing.T) {
	s := newSite(t)
	first := start(t, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", ""))
	one := awaitSystem(t, second.base, "one", status.Published)
	awaitListed(t, first.base, second.base)
	for i, base := range []string{first.base, second.base, second.base} {
		port, left := 40000+i, 0
		if i == 1 {
			left = 5
		}
		read(base, fmt.Sprintf("%s?info_hash=%s&peer_id=-XX0000-00000000000%d&port=%d&uploaded=0&downloaded=0&left=%d&compact=1&event=started",
			catalog.PathAnnounce, escaped(*one.InfoHash), i, port, left))
	}
	await(t, "the first seeder knows what its mirror's tracker knows", func() bool {
		m := statusOf(first.base).Mirrors
		return len(m) == 1 && m[0].Complete > 0 && m[0].Incomplete == 1
	})
	await(t, "and the mirror what the first one's does", func() bool {
		m := statusOf(second.base).Mirror
		return m.Complete > 0 && m.Incomplete == 0
	})
}

func escaped(h catalog.InfoHash) (text string) {
	for _, b := range h {
		text += fmt.Sprintf("%%%02x", b)
	}
	return text
}
