package hardware

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/u-root/mkuimage/cpio"
	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// index makes an archive's index of aliases, "PATTERN MODULE", and of modules that are built in.
func index(t *testing.T, aliases, builtin []string) *modarchive.Index {
	t.Helper()
	files := map[string]string{modarchive.Softdep: "", modarchive.Dep: "", modarchive.Builtin: "", modarchive.Alias: ""}
	for _, a := range aliases {
		files[modarchive.Alias] += "alias " + a + "\n"
	}
	for _, b := range builtin {
		files[modarchive.Builtin] += "kernel/" + b + ".ko\n"
	}
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	for name, content := range files {
		if err := w.WriteRecord(cpio.StaticFile("lib/modules/6.12.1-cloud/"+name, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	z, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(z, "%0500d", 1); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := modarchive.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// device adds a device to a sysfs, with a driver that is in a module; loaded says whether that was loaded or is built in.
func device(files map[string]string, dir, modalias, driver, module string, loaded bool) {
	depth := strings.Repeat("../", strings.Count(dir, "/"))
	if modalias != "" {
		files[dir+"/modalias"] = modalias + "\n"
	}
	files[dir+"/driver"] = "->" + depth + "bus/x/drivers/" + driver
	files["sys/bus/x/drivers/"+driver+"/module"] = "->../../../../module/" + module
	files["sys/module/"+module+"/parameters/x"] = "0\n"
	if loaded {
		files["sys/module/"+module+"/initstate"] = "live\n"
	}
}

// nic adds the network interface of a device.
func nic(files map[string]string, name, dir string) {
	files[dir+"/net/"+name+"/address"] = "52:54:00:12:34:56\n"
	files[dir+"/net/"+name+"/device"] = "->../.."
	files["sys/class/net/"+name] = "->../../../" + dir + "/net/" + name
}

func pci(files map[string]string, dir, class, vendor, device string) {
	files[dir+"/class"], files[dir+"/vendor"], files[dir+"/device"] = class+"\n", "0x"+vendor+"\n", "0x"+device+"\n"
}

const (
	e1000eAlias = "pci:v00008086d000015B7sv*sd*bc*sc*i*"
	virtioPCI   = "pci:v00001AF4d*sv*sd*bc*sc*i*"
	virtioNet   = "virtio:d00000001v*"
	xhciAlias   = "pci:v*d*sv*sd*bc0Csc03i30*"
	r8152Alias  = "usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*"
	netvsc      = "vmbus:635161f83edfc546913ff2d2f965ed0e"
)

// machines are sysfs trees with one network card, eth0.
func machines() map[string]map[string]string {
	plain, virtio, usb, hyperv, builtin := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}

	bridge, card := "sys/devices/pci0000:00/0000:00:1c.0", "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0"
	pci(plain, bridge, "0x060400", "8086", "a110")
	device(plain, bridge, "pci:v00008086d0000A110sv0sd0bc06sc04i00", "pcieport", "pcieportdrv", false)
	pci(plain, card, "0x020000", "8086", "15b7")
	device(plain, card, "pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00", "e1000e", "e1000e", true)
	nic(plain, "eth0", card)

	pci(virtio, "sys/devices/pci0000:00/0000:00:03.0", "0x020000", "1af4", "1000")
	device(virtio, "sys/devices/pci0000:00/0000:00:03.0", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", "virtio-pci", "virtio_pci", true)
	device(virtio, "sys/devices/pci0000:00/0000:00:03.0/virtio0", "virtio:d00000001v00001AF4", "virtio_net", "virtio_net", true)
	nic(virtio, "eth0", "sys/devices/pci0000:00/0000:00:03.0/virtio0")

	controller := "sys/devices/pci0000:00/0000:00:14.0"
	pci(usb, controller, "0x0c0330", "8086", "a12f")
	device(usb, controller, "pci:v00008086d0000A12Fsv0sd0bc0Csc03i30", "xhci_hcd", "xhci_pci", true)
	device(usb, controller+"/usb1", "", "usb", "usbcore", true)
	device(usb, controller+"/usb1/1-3", "", "usb", "usbcore", true)
	usb[controller+"/usb1/1-3/idVendor"], usb[controller+"/usb1/1-3/idProduct"] = "0bda\n", "8153\n"
	device(usb, controller+"/usb1/1-3/1-3:1.0", "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00", "r8152", "r8152", true)
	nic(usb, "eth0", controller+"/usb1/1-3/1-3:1.0")

	bus := "sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"
	device(hyperv, bus, "acpi:VMBUS:VMBus:", "vmbus", "hv_vmbus", true)
	device(hyperv, bus+"/f8615163-df3e-46c5-913f-f2d2f965ed0e", netvsc, "hv_netvsc", "hv_netvsc", true)
	nic(hyperv, "eth0", bus+"/f8615163-df3e-46c5-913f-f2d2f965ed0e")

	maps.Copy(builtin, plain)
	delete(builtin, "sys/module/e1000e/initstate")
	return map[string]map[string]string{"plain": plain, "virtio": virtio, "usb": usb, "hyperv": hyperv, "builtin": builtin}
}

func TestCheckNIC(t *testing.T) {
	for _, c := range []struct {
		name, machine    string
		aliases, builtin []string
		wrong            []string
	}{
		{"a PCI card", "plain", []string{e1000eAlias + " e1000e"}, nil, nil},
		{"its driver has another name there", "plain", []string{e1000eAlias + " e1000f"}, nil, nil},
		{"its driver is built in", "plain", nil, []string{"e1000e"}, nil},
		{"without its driver", "plain", []string{virtioPCI + " virtio_pci", virtioNet + " virtio_net"}, []string{"ptp"}, []string{
			"the system's kernel 6.12.1-cloud has no driver for the network card eth0 (52:54:00:12:34:56, e1000e, 8086:15b7)",
			"mkimage modules --drivers common,e1000e", "needs another kernel",
		}},
		{"a driver that is built in here", "builtin", nil, nil, []string{"eth0 (52:54:00:12:34:56, e1000e, 8086:15b7)"}},
		{"virtio", "virtio", []string{virtioPCI + " virtio_pci", virtioNet + " virtio_net"}, nil, nil},
		{"virtio, built in, of a kernel that does not say for what", "virtio", nil, []string{"virtio-pci", "virtio_net"}, nil},
		{"virtio without its bus", "virtio", []string{virtioNet + " virtio_net"}, nil, []string{
			"no driver for virtio-pci (1af4:1000), which the network card eth0 (52:54:00:12:34:56, virtio_net, 1af4:1000) sits on", "common,virtio_pci",
		}},
		{"virtio without its driver", "virtio", []string{virtioPCI + " virtio_pci"}, nil, []string{"no driver for the network card eth0", "common,virtio_net"}},
		{"USB", "usb", []string{r8152Alias + " r8152", xhciAlias + " xhci_pci"}, nil, nil},
		{"USB with a controller that is built in", "usb", []string{r8152Alias + " r8152"}, []string{"xhci-pci"}, nil},
		{"USB without its controller", "usb", []string{r8152Alias + " r8152"}, nil, []string{"no driver for xhci_hcd (8086:a12f), which", "0bda:8153", "common,xhci_pci"}},
		{"USB without its driver", "usb", []string{xhciAlias + " xhci_pci"}, nil, []string{"0bda:8153", "common,r8152"}},
		{"Hyper-V", "hyperv", []string{netvsc + " hv_netvsc", "acpi*:VMBUS:* hv_vmbus"}, nil, nil},
		{"Hyper-V without its bus", "hyperv", []string{netvsc + " hv_netvsc"}, nil, []string{"no driver for vmbus (acpi:VMBUS:VMBus:), which", "common,hv_vmbus"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fake(t, machines()[c.machine]).checkNIC(index(t, c.aliases, c.builtin), "eth0")
			if (err != nil) != (c.wrong != nil) {
				t.Fatalf("error %v, want one with %q", err, c.wrong)
			}
			for _, wrong := range c.wrong {
				if !strings.Contains(err.Error(), wrong) {
					t.Errorf("error %v lacks %q", err, wrong)
				}
			}
		})
	}
}

func TestCheckNICOfSoftware(t *testing.T) {
	root := fake(t, map[string]string{"sys/class/net/br0/address": "52:54:00:12:34:56\n"})
	if err := root.checkNIC(index(t, nil, nil), "br0"); err == nil || !strings.Contains(err.Error(), "br0") {
		t.Errorf("error %v, want one that names the interface", err)
	}
}
