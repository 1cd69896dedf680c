package daemon

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/fleet"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// phase1Files are those that the boot script has machines load.
var phase1Files = []string{image.Kernel, image.Initramfs}

// helped reports whether nodes of a site give phase 1 away. A site that signs its image wants firmware to verify all that machines start, which
// firmware can't where a boot loader takes an initramfs from another machine: such a site has machines load it from the seeder.
func helped(s *site.Site) bool {
	return s.Helpers == site.HelpersAuto && !s.SignImage && s.UEFI != site.UEFIUKI
}

// phase1Images are the architectures of the images that nodes are given to give away.
func phase1Images(s *site.Site) []arch.Arch {
	if !helped(s) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(arch.All), func(a arch.Arch) bool {
		return slices.ContainsFunc(phase1Files, func(name string) bool {
			info, err := os.Stat(filepath.Join(s.Dir, site.ImageDir, image.Folder(a), name))
			return err != nil || !info.Mode().IsRegular()
		})
	})
}

// storePhase1 stores the image for machines of an architecture as a runtime.
func (f *follower) storePhase1(ctx context.Context, s *site.Site, a arch.Arch) (l store.Last, v store.Version, err error) {
	sys := site.System{
		Name: catalog.Phase1Name(a), Title: "phase 1", Dir: filepath.Join(s.Dir, site.ImageDir, image.Folder(a)), Arch: string(a), Files: phase1Files,
	}
	if v, err = f.store.Import(ctx, sys, f.progress); err != nil {
		return l, v, err
	}
	l = store.LastOf(sys, v)
	l.Unpacked = v.System.Size
	return l, v, nil
}

// images are those among versions that nodes can give away.
func images(versions []store.Version) (all []helpers.Image) {
	for _, v := range versions {
		if !catalog.IsPhase1(v.System.Name) {
			continue
		}
		i := helpers.Image{InfoHash: v.System.InfoHash}
		for _, f := range v.Files {
			i.Files = append(i.Files, helpers.File{
				Path: catalog.BootPath(f.Path, f.SHA256), Name: filepath.Join(v.Dir, v.System.Name, f.Path), Size: f.Size,
			})
		}
		all = append(all, i)
	}
	return all
}

// answer is what a node gets as the answer to its report. Whom a mirror asks for help is the mirror's own business.
func (d *daemon) answer(rep report.Report, s fleet.Sender) (a report.Answer) {
	from := s.Node
	if d.handOn != nil {
		a.Order = d.handOn.report(rep, s)
	} else if !s.Doubt {
		a.Order = d.operator.order(rep, from)
	}
	if s.Via != "" {
		return a
	}
	image := ""
	if cat := d.feed.catalog(); cat != nil {
		if r, ok := cat.Runtime(catalog.Phase1Name(arch.Arch(rep.Arch))); ok {
			image = r.InfoHash.String()
		}
	}
	able := image != "" && slices.Contains([]report.Step{report.Choose, report.Fetch, report.Seed, report.Launch, report.Give}, rep.Step) && rep.State == report.Running &&
		!d.impostor(rep.MAC, from)
	a.Help = d.helpers.Report(rep, from, image, able)
	return a
}

// group is the network that a machine shares with its helpers.
func (d *daemon) group(addr netip.Addr) netip.Prefix {
	network, _ := d.network(addr)
	return network
}

// network is the one that a machine shares with its neighbours: the smallest of the racks that it is in, or else the network of the
// interface that it is behind. Those are the seeder's own. Of machines behind a router those of one /24 count as neighbours.
func (d *daemon) network(addr netip.Addr) (network netip.Prefix, own bool) {
	for _, rack := range d.Site.Racks {
		if rack.Contains(addr) && rack.Bits() > network.Bits() {
			network = rack
		}
	}
	for _, i := range d.interfaces() {
		if !network.IsValid() && i.Addr.Contains(addr) {
			network = i.Addr.Masked()
		}
	}
	if network.IsValid() {
		return network, true
	}
	network, _ = addr.Prefix(24)
	return network, false
}
