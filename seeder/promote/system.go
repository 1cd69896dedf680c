package promote

import (
	"slices"

	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// systemHead stands above config.yaml.
const systemHead = "# Made by 'seeder promote' of what the signed catalog says of this system.\n"

// system is config.yaml of a system.
func system(s catalog.System) ([]byte, error) {
	var k keys
	k.put("dispname", s.Title)
	some(&k, "description", s.Description)
	some(&k, "hidden", s.Hidden)
	k.put("arch", s.Arch)
	k.put("method", s.Launch.Method)
	l := s.Launch
	switch {
	case l.Kexec != nil:
		k.put("kernel", l.Kexec.Kernel)
		k.list("initrd", l.Kexec.Initrd)
		some(&k, "cmdline", l.Kexec.Cmdline)
	case l.Bin != nil:
		k.put("bin", l.Bin.Program)
		words(&k, "binargs", l.Bin.Args)
	case l.QEMU != nil:
		guest := l.QEMU.Guest
		if guest == "" {
			guest = string(arch.AMD64)
		}
		k.put("guest", guest)
		some(&k, "display", l.QEMU.Display)
		words(&k, "args", l.QEMU.Args)
	case l.Root != nil:
		root(&k, l.Root)
	}
	if l.After != "" && l.After != catalog.AfterMenu {
		k.put("after", l.After)
	}
	return document(systemHead, k)
}

// words adds arguments: as a list, or as a shell would have them where one is empty, which lists can't have.
func words(k *keys, key string, args []string) {
	if slices.Contains(args, "") {
		k.put(key, shellquote.Join(args...))
		return
	}
	k.list(key, args)
}

func root(k *keys, r *catalog.Root) {
	var images []string
	for _, i := range r.Images {
		images = append(images, i.Path)
	}
	k.list("root", images)
	if r.Boot != nil {
		k.put("kernel", r.Boot.Kernel)
		k.put("modules", r.Boot.Modules)
	}
	some(k, "cmdline", r.Cmdline)
	k.put("init", r.Init)
	k.put("writable", r.Writable)
	some(k, "writable_limit", share(r.WritableLimit))
}
