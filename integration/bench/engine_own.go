package main

import (
	"encoding/json"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
)

// own is an engine that is compiled here (package peer), of which there can be several builds.
type own struct {
	engine string
	build  build
}

func (o own) name() string      { return o.engine }
func (own) needs() []dependency { return nil }
func (own) port() uint16        { return btPort }

func (o own) seeder(p place) ([]string, error) { return o.args(o.build.seeder(), peer.Seeder, p) }
func (o own) node(p place) ([]string, error)   { return o.args(o.build.node(), peer.Node, p) }

func (o own) args(program, role string, p place) ([]string, error) {
	job, err := json.Marshal(peer.Job{
		Engine: o.engine, Role: role, Addr: p.addr, Seeder: p.seeder, Port: btPort, Dir: p.dir,
		Torrent: p.img.torrent(), Tracker: trackerURL(p.seeder), System: p.img.system, Files: p.img.files, Profile: p.profile,
	})
	return []string{program, string(job)}, err
}

// buildOf is the build of an engine; that of foreign ones has no name.
func buildOf(e engine) build {
	if o, ok := e.(own); ok {
		return o.build
	}
	return build{}
}

// withBuilds puts an engine for each build into the place of this project's. The library alone is measured in the first of them.
func withBuilds(chosen []engine, builds []build) (all []engine) {
	for _, e := range chosen {
		o, ok := e.(own)
		switch {
		case !ok:
			all = append(all, e)
		case o.engine == peer.Boottorrent:
			for _, b := range builds {
				all = append(all, own{o.engine, b})
			}
		default:
			all = append(all, own{o.engine, builds[0]})
		}
	}
	return all
}
