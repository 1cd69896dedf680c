package daemon

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// With page.read: password, everything that tells of machines needs the password, and nothing that machines and supervisors need does. No
// document can be shown within another site's, and nothing changes by GET.
func TestWhatNeedsThePassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	must(t, err)
	config := filepath.Join(s.Dir, site.ConfigFile)
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, append(text, "page: {password: '"+string(hash)+"', read: password}\n"...), 0o644))
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := start(t, s)
	c := r.await("a catalog", func(c *catalog.Catalog) bool { return len(c.Systems) > 0 })
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, change func(*http.Request)) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.base+path, strings.NewReader(""))
		must(t, err)
		change(req)
		resp, err := client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return resp.StatusCode, resp.Header, string(body)
	}
	anybody := func(*http.Request) {}
	operator := func(r *http.Request) { r.SetBasicAuth("", "secret") }
	const mac = "52:54:00:00:00:01"
	for _, path := range []string{
		"/", "/files", "/system/one", "/gave.svg", "/node/" + mac, "/node/" + mac + "/log", "/node/" + mac + "/log.txt", "/events", "/metrics", "/api/nodes", "/api/status",
		"/api/selftest", "/api/v1/nodes", "/api/v1/systems", "/api/v1/findings", "/api/v1/history", "/api/v1/targets", "/api/v1/next", "/api/v1/orders", "/api/v1/orders/1",
		"//api/nodes", "/api/../api/nodes", "/%61pi/nodes", "/api/v1//nodes",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if code, _, body := ask(method, path, anybody); code < 300 || len(body) > 300 {
				t.Errorf("%s %s without the password: %d, %.100s", method, path, code, body)
			}
		}
	}
	for _, path := range []string{
		catalog.PathCatalog, catalog.PathSignature, catalog.TorrentPath(c.Systems[0].InfoHash), c.Systems[0].FilePath("vmlinuz"), catalog.PathScript, "/healthz", "/readyz",
		"/login", "/api/v1/openapi.json",
	} {
		if code, _, body := ask("GET", path, anybody); code != 200 {
			t.Errorf("GET %s: %d, %.100s", path, code, body)
		}
	}
	for _, path := range []string{"/api/v1/wake", "/api/v1/next", "/api/v1/next/clear", "/api/v1/orders", "/logout"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			change := func(r *http.Request) {
				r.Header.Set("X-HTTP-Method-Override", "POST")
				r.Header.Set("Content-Type", "text/plain")
			}
			if code, _, body := ask(method, path, change); code < 300 {
				t.Errorf("%s %s without the password: %d, %.100s", method, path, code, body)
			}
			elsewhere := func(r *http.Request) { operator(r); r.Header.Set("Origin", "http://evil.example") }
			if code, _, body := ask(method, path, elsewhere); code < 300 && method != "GET" { // whose answer that page can't read
				t.Errorf("%s %s from another site's page: %d, %.100s", method, path, code, body)
			}
		}
	}
	for _, path := range []string{"/", "/files", "/login", "/node/" + mac, "/nothing"} {
		if _, h, _ := ask("GET", path, operator); path != "/nothing" && !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: %v", path, h)
		}
	}
}
