package hardware

import (
	"fmt"
	"os"
	"path"

	"github.com/boottorrent/boottorrent/internal/kmod"
	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// CheckNIC says whether this machine's network interface of a name would work under the kernel whose modules x describes; nil: it
// would. It does if the kernel has a driver, built in or in the archive, for the card itself and for all that the card sits on and
// that a module drives here: the virtio bus, the USB host controller, Hyper-V's bus. The error is for a person. (Kernels may give the
// interface another name; what stays the same is its MAC address.)
func CheckNIC(x *modarchive.Index, name string) error { return running.checkNIC(x, name) }

func (t tree) checkNIC(x *modarchive.Index, name string) error {
	link := path.Join("/sys/class/net", name, "device")
	if _, err := os.Stat(t.path(link)); err != nil {
		return fmt.Errorf("find out what drives the network interface %s: %w", name, err)
	}
	card := t.resolve(link)
	for device := card; device != "/" && device != "/sys/devices"; device = path.Dir(device) {
		modalias, driver := t.line(device, "modalias"), t.driver(device)
		if modalias == "" || driver == "" {
			continue
		}
		module := t.module(device)
		if canDrive(x, modalias, driver, module) {
			continue
		}
		// What the running kernel has built in below the card, such as a PCI bridge's driver, no kernel lacks.
		if device != card && !t.loaded(module) {
			continue
		}
		return t.noDriver(x, name, device, modalias, driver, module)
	}
	return nil
}

// canDrive reports whether a module claims a device. Kernels before 5.2 don't say what their built-in drivers claim; those are
// known by the names that driver and module have here.
func canDrive(x *modarchive.Index, modalias, driver, module string) bool {
	return len(x.Drivers(modalias)) > 0 || x.IsBuiltin(driver) || module != "" && x.IsBuiltin(module)
}

// module is the name of the module that a device's driver is in; empty if the kernel doesn't say.
func (t tree) module(device string) string {
	target, err := os.Readlink(t.path(device, "driver/module"))
	if err != nil {
		return ""
	}
	return path.Base(target)
}

// loaded reports whether a module was loaded, as opposed to one built into the kernel, which has no state.
func (t tree) loaded(module string) bool {
	return module != "" && t.line("sys/module", module, "initstate") != ""
}

func (t tree) noDriver(x *modarchive.Index, name, device, modalias, driver, module string) error {
	card := name
	for _, n := range t.nics() {
		if n.Name == name {
			card = n.String()
		}
	}
	if module == "" {
		module = kmod.Normalize(driver)
	}
	what := "the network card " + card
	if device != t.resolve(path.Join("/sys/class/net", name, "device")) {
		id := t.deviceID(device)
		if id == "" {
			id = modalias
		}
		what = fmt.Sprintf("%s (%s), which the network card %s sits on", driver, id, card)
	}
	return fmt.Errorf("the system's kernel %s has no driver for %s; build its modules with the driver: "+
		"mkimage modules --drivers common,%s …; if that kernel has no %s, the system needs another kernel", x.Release, what, module, module)
}
