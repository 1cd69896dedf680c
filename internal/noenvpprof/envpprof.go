// Package envpprof stands in for github.com/anacrolix/envpprof, which github.com/anacrolix/torrent brings along for its own
// tests: a web server for profiles, switched on by the environment. Nodes have no use for it, nor for its size.
package envpprof

// Stop does nothing.
func Stop() {}
