package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// controlFile is the unix socket in site.StateDir by which other commands speak with the running seeder, in HTTP. Who may write to it
// decides who may: the user that serves, and root.
const controlFile = "control"

// publishPath is where a system's name is posted to be published.
const publishPath = "/publish/"

// ErrNotRunning says that no seeder serves the site.
var ErrNotRunning = errors.New("no seeder serves this site on this machine")

// controlPath is a path of the socket that is short enough for an address of a unix socket (108 bytes, unix(7)), however long that of
// the site is. It is valid until dir is closed.
func controlPath(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), controlFile)
}

// listenControl makes the socket in the folder state. One that is there was left by a seeder that ended: the store's lock says that
// there is no other.
func listenControl(state string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(state, controlFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dir, err := os.Open(state)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	l, err := net.Listen("unix", controlPath(dir))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by that path it can't be found any more
	return l, os.Chmod(filepath.Join(state, controlFile), 0o600)
}

// serveControl answers commands until ctx ends. Where no socket can be made, as on some file systems, the site is served without.
func (d *daemon) serveControl(ctx context.Context) {
	l, err := listenControl(d.state)
	if err != nil {
		d.Log.Warn("commands such as '"+self.Seeder()+" publish' can't reach this seeder", "err", err)
		return
	}
	defer os.Remove(filepath.Join(d.state, controlFile))
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+status.Path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, d.status()) })
	mux.Handle("GET "+catalog.PathNodes, d.fleet.ListHandler())
	mux.HandleFunc("POST "+publishPath+"{name}", func(w http.ResponseWriter, r *http.Request) {
		s, err := d.feed.publish(r.Context(), r.PathValue("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		writeJSON(w, s)
	})
	mux.Handle(api.Path, d.operator.api.Handler(nil)) // who may open the socket needs no password
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		d.Log.Warn("commands such as '"+self.Seeder()+" publish' can't reach this seeder any more", "err", err)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

// Control speaks with the seeder that serves a site on this machine.
type Control struct {
	// Dir is the site's.
	Dir string
}

// Status asks what became of every folder. It returns [ErrNotRunning] where nobody answers.
func (c Control) Status(ctx context.Context) (s status.Site, err error) {
	return s, c.ask(ctx, http.MethodGet, status.Path, nil, &s)
}

// Publish has a system published as it is now, and returns what became of it when it is stored.
func (c Control) Publish(ctx context.Context, system string) (s status.System, err error) {
	return s, c.ask(ctx, http.MethodPost, publishPath+system, nil, &s)
}

// Get asks for something below api.Path, and decodes the answer.
func (c Control) Get(ctx context.Context, path string, answer any) error {
	return c.ask(ctx, http.MethodGet, api.Path+path, nil, answer)
}

// Post has something below api.Path done, and decodes the answer.
func (c Control) Post(ctx context.Context, path string, request api.Request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return c.ask(ctx, http.MethodPost, api.Path+path, bytes.NewReader(body), answer)
}

func (c Control) ask(ctx context.Context, method, path string, body io.Reader, answer any) error {
	dir, err := os.Open(filepath.Join(c.Dir, site.StateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotRunning
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", controlPath(dir))
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://seeder"+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return ErrNotRunning
	case err != nil:
		return fmt.Errorf("ask the seeder that serves %s: %w", c.Dir, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		var why api.Error
		if json.Unmarshal(text, &why) == nil && why.Error != "" {
			return errors.New(why.Error)
		}
		return errors.New(strings.TrimSpace(string(text)))
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
