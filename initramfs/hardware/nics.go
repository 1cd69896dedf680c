package hardware

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// NIC is a physical network interface.
type NIC struct {
	Name string
	// MAC is aa:bb:cc:dd:ee:ff.
	MAC string
	// Driver is the kernel's name of the driver; empty if unknown.
	Driver string
	// ID is the device's vendor and product number in hexadecimal, 8086:15b7; empty if the bus has none.
	ID string
	// Carrier is whether there is link. An interface that is down has none.
	Carrier bool
}

// String describes the NIC in one line: "eth0 (aa:bb:cc:dd:ee:ff, e1000e, 8086:15b7)".
func (n NIC) String() string {
	parts := slices.DeleteFunc([]string{n.MAC, n.Driver, n.ID}, func(s string) bool { return s == "" })
	return fmt.Sprintf("%s (%s)", n.Name, strings.Join(parts, ", "))
}

// NICs returns the physical network interfaces, sorted by name.
func NICs() []NIC { return running.nics() }

func (t tree) nics() []NIC {
	var nics []NIC
	for _, dir := range t.glob("sys/class/net/*") {
		// What has no device behind it is software: lo, a bridge, a VLAN.
		if _, err := os.Stat(t.path(dir, "device")); err != nil {
			continue
		}
		nics = append(nics, NIC{
			Name:    path.Base(dir),
			MAC:     t.line(dir, "address"),
			Driver:  t.driver(dir + "/device"),
			ID:      t.deviceID(dir + "/device"),
			Carrier: t.line(dir, "carrier") == "1",
		})
	}
	return nics
}

// driver returns the name of a device's driver; empty if it has none.
func (t tree) driver(device string) string {
	target, err := os.Readlink(t.path(device, "driver"))
	if err != nil {
		return ""
	}
	return path.Base(target)
}

// deviceID finds VENDOR:PRODUCT of a device, or of the one it is a part of (a USB interface, a virtio function).
func (t tree) deviceID(device string) string {
	device = t.resolve(device)
	for range 3 {
		if vendor := t.line(device, "idVendor"); vendor != "" {
			return vendor + ":" + t.line(device, "idProduct")
		}
		if t.line(device, "class") != "" { // PCI; what virtio calls vendor and device is something else
			vendor, product := t.line(device, "vendor"), t.line(device, "device")
			return strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(product, "0x")
		}
		device = path.Dir(device)
	}
	return ""
}

// Device is a network device that no driver has taken.
type Device struct {
	// Bus is pci, usb, virtio, vmbus or xen.
	Bus string
	// ID is VENDOR:PRODUCT in hexadecimal, empty on buses that have none.
	ID       string
	Modalias string
	// Name is what the device calls itself; often empty.
	Name string
}

// String is a message for the screen, with what to do.
func (d Device) String() string {
	what := d.ID
	if what == "" {
		what = d.Modalias
	}
	if d.Name != "" {
		what += " (" + d.Name + ")"
	}
	return fmt.Sprintf("NIC %s has no driver in this image; build it with mkimage --drivers all", what)
}

// Undriven returns the network devices without a driver.
func Undriven() []Device { return running.undriven() }

func (t tree) undriven() []Device {
	var found []Device
	for _, dir := range t.glob("sys/bus/*/devices/*") {
		if t.driver(dir) != "" || !t.isNetwork(dir) {
			continue
		}
		d := Device{Bus: strings.Split(dir, "/")[3], ID: t.deviceID(dir), Modalias: t.line(dir, "modalias"), Name: t.product(dir)}
		if !slices.Contains(found, d) { // a USB adapter has an interface for control and one for data
			found = append(found, d)
		}
	}
	return found
}

// product is what the USB device that an interface belongs to calls itself.
func (t tree) product(dir string) string { return t.line(path.Dir(t.resolve(dir)), "product") }

// netModaliases begin the modaliases of network devices on buses of virtual machines: virtio's device type 1, Xen's
// vif, and Hyper-V's network GUID.
var netModaliases = []string{"virtio:d00000001", "xen:vif", "vmbus:635161f83edfc546913ff2d2f965ed0e"}

// isNetwork says whether a device on a bus is a network device by what it says of itself.
func (t tree) isNetwork(dir string) bool {
	// PCI base class 2 is a network controller; its subclass 80, "other", is what wireless cards have, from which no node
	// boots.
	if class := t.line(dir, "class"); strings.HasPrefix(class, "0x02") && !strings.HasPrefix(class, "0x0280") {
		return true
	}
	modalias := t.line(dir, "modalias")
	for _, prefix := range netModaliases {
		if strings.HasPrefix(modalias, prefix) {
			return true
		}
	}
	return strings.HasPrefix(modalias, "usb:") && t.isUSBNetwork(dir)
}

// isUSBNetwork judges a USB interface by its class triple: CDC with a network model (ECM 06, NCM 0d, MBIM 0e; USB CDC
// 1.2 table 4), RNDIS, or one of the many vendor-specific adapters, which only their product name gives away.
func (t tree) isUSBNetwork(dir string) bool {
	class, sub, proto := t.line(dir, "bInterfaceClass"), t.line(dir, "bInterfaceSubClass"), t.line(dir, "bInterfaceProtocol")
	switch class {
	case "02":
		return sub == "06" || sub == "0d" || sub == "0e"
	case "e0":
		return sub == "01" && proto == "03"
	case "ff":
		product := strings.ToLower(t.product(dir))
		for _, word := range []string{"ethernet", "lan", "gigabit", "10/100"} {
			if strings.Contains(product, word) {
				return true
			}
		}
	}
	return false
}
