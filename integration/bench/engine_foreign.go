package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
)

// aria2 is what the original BootTorrent used.
type aria2 struct{}

func (aria2) name() string        { return "aria2" }
func (aria2) needs() []dependency { return []dependency{{"aria2c", "aria2"}} }
func (aria2) port() uint16        { return btPort }

// aria2Args are the arguments of both sides: no way out of the room, and giving away without end.
func aria2Args(p place, more ...string) []string {
	return append([]string{
		"--no-conf", "--dir=" + p.dir, fmt.Sprintf("--listen-port=%d", btPort), "--enable-dht=false", "--bt-enable-lpd=false",
		"--file-allocation=none", "--summary-interval=0", "--show-console-readout=false", "--console-log-level=warn", "--seed-ratio=0.0", "--allow-overwrite=true",
		"--all-proxy=", "--no-netrc", p.img.torrent(),
	}, more...)
}

func (aria2) seeder(p place) ([]string, error) {
	return append([]string{"aria2c"}, aria2Args(p, "--bt-seed-unverified=true")...), nil
}

func (aria2) node(p place) ([]string, error) {
	// It runs a program when a download is complete; that is the only way to learn the moment. What aria2 prints itself need
	// not end with its line.
	hook := filepath.Join(p.dir, "complete.sh")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nprintf '\\nDONE\\n'\n"), 0o755); err != nil {
		return nil, err
	}
	return gate(`exec aria2c "$@"`, aria2Args(p, "--on-bt-download-complete="+hook)...), nil
}

// libtorrent is libtorrent-rasterbar, by TCP, with otherwise default settings: what qBittorrent and Deluge are built on.
type libtorrent struct{}

//go:embed libtorrent.py
var libtorrentScript string

// The module belongs to the distribution's Python, which need not be the first in PATH.
const python = "/usr/bin/python3"

func (libtorrent) name() string { return "libtorrent" }
func (libtorrent) needs() []dependency {
	return []dependency{{python, "python3"}, {"/usr/lib/python3/dist-packages/libtorrent.egg-info", "python3-libtorrent"}}
}
func (libtorrent) port() uint16 { return btPort }
func (libtorrent) seeder(p place) ([]string, error) {
	return []string{python, "-c", libtorrentScript, peer.Seeder, p.addr.String(), p.img.torrent(), p.dir}, nil
}
func (libtorrent) node(p place) ([]string, error) {
	return []string{python, "-c", libtorrentScript, peer.Node, p.addr.String(), p.img.torrent(), p.dir}, nil
}

// httpServer is nginx and curl: what a room without BitTorrent would do.
type httpServer struct{}

func (httpServer) name() string { return "http" }
func (httpServer) needs() []dependency {
	return []dependency{{"/usr/sbin/nginx", "nginx-light"}, {"curl", "curl"}}
}
func (httpServer) port() uint16 { return 80 }

// nginxConf has one process, so that its memory and time are found under one number.
const nginxConf = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_body_temp_path %[1]s/tmp;
	proxy_temp_path %[1]s/tmp;
	fastcgi_temp_path %[1]s/tmp;
	uwsgi_temp_path %[1]s/tmp;
	scgi_temp_path %[1]s/tmp;
	server { listen 80; root %[1]s; }
}
`

func (httpServer) seeder(p place) ([]string, error) {
	conf := filepath.Join(p.dir, "nginx.conf")
	err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, p.dir), 0o644)
	return []string{"/usr/sbin/nginx", "-p", p.dir, "-c", conf, "-e", "stderr"}, err
}

func (httpServer) node(p place) ([]string, error) {
	to := p.img.file(p.dir)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, err
	}
	return gate(`curl --silent --show-error --fail --noproxy '*' --output "$1" "$2" && echo DONE; exec sleep infinity`,
		to, "http://"+p.seeder.String()+"/"+imageFolder+"/"+imageFile), nil
}
