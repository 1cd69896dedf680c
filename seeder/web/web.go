// Package web is the seeder's HTTP server: in go requests of firmware, boot loaders, nodes, BitTorrent clients and
// people, out come the catalog and its signature, torrents, phase 1 with the script that starts it, boot loaders, the
// systems' files, and a page to look at.
//
// The paths are those of internal/catalog. Tracker and reports are handlers given to it. Files are answered with
// ranges, ETags from SHA-256 and a Content-Length (RFC 9110), as UEFI HTTP boot (UEFI 2.10 section 24.7), web seeds
// (BEP 19) and resuming clients want them. Only files named by configuration or by a published catalog are served.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/seeder/admit"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/auth"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/bootmanifest"
	"github.com/boottorrent/boottorrent/seeder/bootname"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/status"
)

const (
	defaultMaxFallback = 8
	// shutdownTime is how long downloads may go on when the server stops: longer than a boot file takes on a LAN.
	shutdownTime = time.Second
	// PathEvents is where the page's changes come from, as long as somebody listens.
	PathEvents = "/events"
	// pathSelfTest is where programs read what the self-test found.
	pathSelfTest = "/api/selftest"
)

// Config says what is served. Nil handlers and empty fields leave their paths without content (404).
type Config struct {
	// Log receives each request at debug level, and each fetch of the kernel and the initramfs at info level.
	Log *slog.Logger
	// Boot are the files of the site's images; nil: there are none.
	Boot *bootfiles.Files
	// Loaders returns the paths of the boot loaders as they are now, by the names under which they are found below /boot/; may be nil.
	Loaders func() map[string]string
	// Script returns the iPXE script.
	Script func(ScriptRequest) ([]byte, error)

	Local, Announce, Scrape, Report, Nodes, NodeLog http.Handler
	// Page serves the documents for people, below the patterns PagePaths, and Events their changes at PathEvents; both may be nil.
	Page, Events http.Handler
	PagePaths    []string
	// OpenPaths are those of PagePaths that everybody may read, whatever Guard says: style sheet, script, and where people log in.
	OpenPaths []string
	// Systems is what became of each system's folder, for status.Path; nil: that is not served.
	Systems func() status.Site
	// SelfTest answers what the seeder's self-test found.
	SelfTest http.Handler

	// API serves what is below /api/v1/, Login and Logout take the forms of the page for that; each may be nil. Guard lets those read who may; nil:
	// everybody may.
	API, Login, Logout http.Handler
	Guard              func(http.Handler) http.Handler

	// Metrics is served at /metrics to those that may read; nil: there are none.
	Metrics http.Handler
	// Unready says what machines can't have yet, in words; nil: that isn't known, and neither /healthz nor /readyz is served.
	Unready func() []string
	// Observe is told of each answered request: its kind in one word, the answer's status and bytes; and Sent of bytes of a system's file
	// that were sent. Both must return at once. Nil: nobody is told.
	Observe func(kind string, status int, bytes int64)
	Sent    func(system string, bytes int64)
	// Sending is told that a file below /boot/ is sent to a machine, by its path, and returns a function that is told of each part of it; Loaded of a
	// machine that says that it has phase 1. Both must return at once. Nil: nobody is told.
	Sending func(client netip.Addr, path string) func(bytes int64)
	Loaded  func(client netip.Addr)

	// Manifest makes the signed boot manifest; nil: none is served.
	Manifest Manifest
	// Wanted is told of each version whose torrent, or file by HTTP, somebody fetches; nil: nobody is told. It must return at once.
	Wanted func(catalog.InfoHash)
	// NotYet says in words why nothing is published yet; nil: the site is being read.
	NotYet func() string

	// Seeders lists the site's seeders for somebody who asked here, under the address at which that was; nil: there is no such list.
	Seeders func(asked catalog.SeederAddress) catalog.SeederList
	// Mirrored is told of each request for the catalog before it is answered, with who asked; nil: nobody is told. It must return at once.
	Mirrored func(client netip.Addr, header http.Header)

	// Policy decides whom the port serves; nil: one with its usual bounds.
	Policy *admit.Policy
	// MaxFallback is how many downloads below /systems/ go on at one time, 8 if zero. Others are told to come again
	// (503): HTTP is for nodes that BitTorrent doesn't serve, and must not take the seed's bandwidth.
	MaxFallback int
	// Limit bounds what is sent below /systems/, in bytes; nil: nothing does. It is the seed's own limit, so that both
	// together keep to it.
	Limit *rate.Limiter
}

// Manifest is a signed boot manifest, as package bootmanifest makes it.
type Manifest interface {
	// Current is the one of what is served now, Last the one that Current returned last. The error is bootmanifest.ErrNotYet where there is none yet.
	Current() (bootmanifest.Signed, error)
	Last() (bootmanifest.Signed, error)
}

// ScriptRequest is what an iPXE script is made for.
type ScriptRequest struct {
	// Host is where the node reaches the seeder, "ADDRESS" or "ADDRESS:PORT" as the client wrote it in its URL. It holds only what a
	// host name, an IP address and a port can.
	Host string
	// Arch is that of the node, Agent what its iPXE calls itself ("iPXE/1.21.1").
	Arch  arch.Arch
	Agent string
	// Machine is what firmware says of the machine, if Known.
	Machine rules.Facts
	Known   bool
	// From is the client's address.
	From netip.Addr
}

// Server is an http.Handler for everything the seeder serves. Its methods may be called concurrently.
type Server struct {
	cfg Config
	mux *http.ServeMux
	// clients remembers which boot loader each has loaded, as that decides what it means by the next name.
	clients bootname.Clients
	// bootLines bounds the lines about boot files, as strangers can ask for them without end.
	bootLines *rate.Limiter

	mu sync.RWMutex
	// current is nil before the first Publish; changed is closed when another one takes its place.
	current *published
	changed chan struct{}
	// torrents are those of the current release and of earlier ones that were not retired.
	torrents map[catalog.InfoHash]*torrent
}

// New returns a server that has no release yet: catalog requests are answered with 503 until there is one.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Boot == nil {
		cfg.Boot = bootfiles.New("")
	}
	if cfg.MaxFallback <= 0 {
		cfg.MaxFallback = defaultMaxFallback
	}
	if cfg.Policy == nil {
		cfg.Policy = admit.New(admit.Config{Log: cfg.Log})
	}
	s := &Server{
		cfg: cfg, mux: http.NewServeMux(), torrents: map[catalog.InfoHash]*torrent{}, changed: make(chan struct{}), bootLines: rate.NewLimiter(50, 20000),
	}
	if s.cfg.Guard == nil {
		s.cfg.Guard = func(h http.Handler) http.Handler { return h }
	}
	s.routes()
	return s
}

func (s *Server) routes() {
	k := kinds(s.cfg.MaxFallback)
	boot, files, documents := s.admit(k.boot, s.serveBoot), s.admit(k.files, s.serveSystem), s.admit(k.documents, s.serveDocument)
	if s.cfg.Page != nil {
		guarded, open := admitted(s, k.page, s.guarded(s.cfg.Page)), admitted(s, k.page, s.cfg.Page)
		for _, pattern := range s.cfg.PagePaths {
			if slices.Contains(s.cfg.OpenPaths, pattern) {
				s.mux.Handle(pattern, open)
			} else {
				s.mux.Handle(pattern, guarded)
			}
		}
	}
	if s.cfg.Events != nil {
		s.mux.Handle("GET "+PathEvents, admitted(s, k.events, s.guarded(s.cfg.Events)))
	}
	s.mux.Handle("GET "+catalog.PathCatalog, documents)
	s.mux.Handle("GET "+catalog.PathSignature, documents)
	s.mux.Handle("GET "+torrentPrefix, documents)
	s.mux.Handle("GET "+filesPrefix, documents)
	s.mux.Handle("GET "+catalog.PathBoot, boot)
	s.mux.Handle("GET "+systemsPrefix, files)
	s.mux.Handle("HEAD "+systemsPrefix, documents) // it takes no slot of those that send
	for path, h := range map[string]http.Handler{
		catalog.PathAnnounce: admitted(s, k.announce, s.cfg.Announce), catalog.PathScrape: admitted(s, k.announce, s.cfg.Scrape),
		catalog.PathReport: admitted(s, k.report, s.cfg.Report), catalog.PathNodes: admitted(s, k.page, s.guarded(s.cfg.Nodes)),
		catalog.PathLocal: admitted(s, k.report, s.cfg.Local),
		catalog.PathLog:   admitted(s, k.log, s.cfg.NodeLog),
		pathSelfTest:      admitted(s, k.page, s.guarded(s.cfg.SelfTest)),
	} {
		if h != nil {
			s.mux.Handle(path, h)
		}
	}
	for pattern, h := range map[string]http.Handler{
		api.Path: admitted(s, k.api, s.cfg.API), "POST " + auth.PathLogin: admitted(s, k.api, s.cfg.Login), "POST " + auth.PathLogout: admitted(s, k.api, s.cfg.Logout),
	} {
		if h != nil {
			s.mux.Handle(pattern, h)
		}
	}
	if s.cfg.Manifest != nil {
		s.mux.Handle("GET "+catalog.PathManifest, s.admit(k.documents, s.serveManifest))
		s.mux.Handle("GET "+catalog.PathManifestSignature, s.admit(k.documents, s.serveManifest))
	}
	if s.cfg.Seeders != nil {
		s.mux.Handle("GET "+catalog.PathSeeders, s.admit(k.documents, s.serveSeeders))
	}
	if s.cfg.Metrics != nil {
		s.mux.Handle("GET "+metrics.Path, admitted(s, k.metrics, s.guarded(s.cfg.Metrics)))
	}
	if s.cfg.Unready != nil {
		s.mux.Handle("GET "+PathHealth, s.admit(k.health, serveHealth))
		s.mux.Handle("GET "+PathReady, s.admit(k.health, s.serveReady))
	}
	if s.cfg.Systems != nil {
		s.mux.Handle("GET "+status.Path, admitted(s, k.page, s.guarded(http.HandlerFunc(s.serveStatus))))
	}
	s.mux.Handle("/", s.admit(k.documents, func(w http.ResponseWriter, r *http.Request) {
		notFound(w, "nothing is at this path; / shows what there is")
	}))
}

// guarded is a handler for those that may read; nil if there is none.
func (s *Server) guarded(next http.Handler) http.Handler {
	if next == nil {
		return nil
	}
	return s.cfg.Guard(next)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	resp := newResponse(w)
	// Nothing here is for a browser to guess the type of.
	resp.Header().Set("X-Content-Type-Options", "nosniff")
	r = cleanPath(r)
	s.mux.ServeHTTP(resp, r)
	s.log(r, resp, time.Since(start))
	if s.cfg.Observe != nil {
		s.cfg.Observe(resp.kind, resp.status, resp.bytes)
	}
	if s.cfg.Sent != nil && resp.system != "" {
		s.cfg.Sent(resp.system, resp.bytes)
	}
}

// log writes the line for an answered request.
func (s *Server) log(r *http.Request, resp *response, took time.Duration) {
	level, msg := slog.LevelDebug, "HTTP request"
	if r.Method == http.MethodGet && resp.status == http.StatusOK &&
		strings.HasPrefix(r.URL.Path, catalog.PathBoot) && isImage(path.Base(r.URL.Path)) && s.bootLines.Allow() {
		level, msg = slog.LevelInfo, "boot file fetched"
	}
	s.cfg.Log.LogAttrs(r.Context(), level, msg,
		slog.String("client", r.RemoteAddr), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", resp.status), slog.Int64("bytes", resp.bytes), slog.Float64("seconds", took.Seconds()))
}

// Serve answers on all listeners until ctx is done, gives downloads one second to end, and returns nil. It closes
// the listeners. An error means that one of them failed.
//
// Clients that send or read nothing for long are cut off; slow ones are not, however long they take.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	server := &http.Server{
		Handler: s,
		// Against clients that open connections and say nothing. There is no overall ReadTimeout or WriteTimeout: they
		// would end long downloads; response has a deadline for each chunk instead.
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       s.cfg.Policy.ConnContext,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if err := server.Serve(s.cfg.Policy.Listener(l)); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("HTTP: serve on %s: %w", l.Addr(), err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if server.Shutdown(patience) != nil {
		// Downloads still going on: they end now.
		_ = server.Close()
	}
	return err
}

func notFound(w http.ResponseWriter, text string) { http.Error(w, text, http.StatusNotFound) }
