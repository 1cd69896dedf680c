package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
)

// serveDebug answers on a unix socket, which only this user can open, until ctx ends: /debug/vars tells what the process takes,
// /debug/pprof/ is net/http/pprof. To look: curl --unix-socket FILE http://seeder/debug/vars
func serveDebug(ctx context.Context, file string) error {
	_ = os.Remove(file)
	l, err := net.Listen("unix", file)
	if err != nil {
		return fmt.Errorf("--debug: %w", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return errors.Join(fmt.Errorf("--debug: %w", err), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/vars", serveVars)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() { _ = server.Serve(l) }()
	return nil
}

// serveVars tells what is in use after a collection of what isn't.
func serveVars(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"heap": m.HeapAlloc, "system": m.Sys, "goroutines": runtime.NumGoroutine(),
	})
}
