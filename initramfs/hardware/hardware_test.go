package hardware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// fake makes a tree of files; a content that begins with "->" is a symbolic link.
func fake(t *testing.T, files map[string]string) tree {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		addFile(t, tree(root), name, content)
	}
	return tree(root)
}

func addFile(t *testing.T, root tree, name, content string) {
	t.Helper()
	path := root.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if link, ok := strings.CutPrefix(content, "->"); ok {
		err = os.Symlink(link, path)
	} else {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const someAliases = `alias virtio:d00000001v* virtio_net
alias acpi*:PNP0C0C:* button
alias usb:v*p*d*dc*dsc*dp*ic03isc*ip*in* usbhid
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
alias pci:v00008086d000015B7sv*sd*bc*sc*i* e1000e
`

// world is a fake machine in which loading a module makes devices appear.
type world struct {
	mu      sync.Mutex
	loaded  []string
	logged  []string
	appears map[string]map[string]string // module -> files
	fails   map[string]error
	tree    tree
	changed chan string
}

func (w *world) probe(t *testing.T) func(string) error {
	return func(name string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.fails[name]; err != nil {
			return explain(name, err)
		}
		w.loaded = append(w.loaded, name)
		for file, content := range w.appears[name] {
			addFile(t, w.tree, file, content)
		}
		if w.changed != nil {
			w.changed <- name
		}
		return nil
	}
}

func (w *world) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logged = append(w.logged, fmt.Sprintf(format, args...))
}

func newWorld(t *testing.T, files map[string]string) (*world, *loader) {
	t.Helper()
	w := &world{tree: fake(t, files), fails: map[string]error{}, appears: map[string]map[string]string{}}
	l, err := newLoader(w.tree, "6.1.0", w.log, w.probe(t))
	if err != nil {
		t.Fatal(err)
	}
	return w, l
}

func TestSettle(t *testing.T) {
	w, l := newWorld(t, map[string]string{
		"lib/modules/6.1.0/modules.alias":           someAliases,
		"lib/modules/6.1.0/modules.softdep":         "# comment\nsoftdep xhci_pci pre: phy_one phy_two post: after\n",
		"sys/bus/pci/devices/0000:00:14.0/modalias": "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30\n",
		"sys/bus/pci/devices/0000:00:1f.6/modalias": "pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00\n",
		"sys/bus/platform/devices/x/modalias":       "platform:unknown\n",
	})
	w.appears["xhci_pci"] = map[string]string{
		"sys/bus/usb/devices/1-1:1.0/modalias": "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00\n",
	}
	w.fails["e1000e"] = unix.ENOEXEC
	w.fails["phy_two"] = unix.ENOENT
	l.settle()
	if want := []string{"phy_one", "xhci_pci", "after", "usbhid"}; !reflect.DeepEqual(w.loaded, want) {
		t.Errorf("loaded %q, want %q", w.loaded, want)
	}
	logged := strings.Join(w.logged, "\n")
	for _, want := range []string{"e1000e: exec format error: it was built for another kernel", "phy_two", "wanted, not needed, by xhci_pci"} {
		if !strings.Contains(logged, want) {
			t.Errorf("log lacks %q:\n%s", want, logged)
		}
	}
}

func TestSettleLoadsOthersAsWell(t *testing.T) {
	w, l := newWorld(t, map[string]string{"lib/modules/6.1.0/modules.alias": someAliases})
	w.fails["absent"] = unix.ENOENT
	l.settle("hid_generic", "absent")
	if !reflect.DeepEqual(w.loaded, []string{"hid_generic"}) || len(w.logged) != 1 || !strings.Contains(w.logged[0], "absent") {
		t.Errorf("loaded %q, logged %q", w.loaded, w.logged)
	}
}

func TestWatchServesLateDevices(t *testing.T) {
	w, l := newWorld(t, map[string]string{"lib/modules/6.1.0/modules.alias": someAliases})
	w.changed = make(chan string)
	l.settle()
	ctx, cancel := context.WithTimeout(t.Context(), need.Patience)
	defer cancel()
	events := make(chan string)
	go l.watch(ctx, events)
	await := func(want string) {
		t.Helper()
		select {
		case got := <-w.changed:
			if got != want {
				t.Errorf("loaded %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("%s was never loaded", want)
		}
	}
	events <- "virtio:d00000001v00001AF4"
	await("virtio_net")
	// Missed events: everything is looked at again.
	addFile(t, w.tree, "sys/bus/acpi/devices/x/modalias", "acpi:PNP0C0C:\n")
	events <- ""
	await("button")
}

func TestNewLoaderWithoutModules(t *testing.T) {
	_, err := newLoader(fake(t, nil), "6.1.0", t.Logf, nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that wraps ErrNotExist", err)
	}
}

func TestAddedModalias(t *testing.T) {
	for message, want := range map[string]string{
		"add@/devices/pci0000:00/0000:00:14.0/usb1/1-1\x00ACTION=add\x00MODALIAS=usb:v1\x00SEQNUM=9\x00": "usb:v1",
		"remove@/devices/x\x00MODALIAS=usb:v1\x00":                                                       "",
		"add@/devices/x\x00MODALIAS=\x00":                                                                "",
		"add@/devices/x\x00":                                                                             "",
		"":                                                                                               "",
	} {
		if got, ok := addedModalias([]byte(message)); got != want || ok != (want != "") {
			t.Errorf("addedModalias(%q) = %q, %v", message, got, ok)
		}
	}
}

func TestListenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	events, err := listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	deadline := time.After(need.Patience)
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("still listening after the context ended")
		}
	}
}

func TestFactsString(t *testing.T) {
	f := Facts{Vendor: "ACME", Product: "Desk 1", MemoryMiB: 997, Installed: Memory{1 << 30, fromSMBIOS}, Arch: "amd64", CPUs: 2}
	if got, want := f.String(), "ACME Desk 1, 2 CPU(s), 1024 MiB of memory (by SMBIOS; 997 MiB can be used), BIOS, amd64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (Facts{EFI: true}).String(), "a machine without a name, 0 CPU(s), 0 MiB of memory (; 0 MiB can be used), UEFI, "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// machine is a sysfs with two driven NICs and four that nobody drives.
var machine = map[string]string{
	"sys/devices/pci0/0000:00:1f.6/class":            "0x020000\n",
	"sys/devices/pci0/0000:00:1f.6/vendor":           "0x8086\n",
	"sys/devices/pci0/0000:00:1f.6/device":           "0x15b7\n",
	"sys/devices/pci0/0000:00:1f.6/modalias":         "pci:v00008086d000015B7\n",
	"sys/bus/pci/devices/0000:00:1f.6":               "->../../../devices/pci0/0000:00:1f.6",
	"sys/devices/pci0/0000:00:14.3/class":            "0x028000\n", // a wireless card, which nobody misses
	"sys/bus/pci/devices/0000:00:14.3":               "->../../../devices/pci0/0000:00:14.3",
	"sys/devices/pci0/0000:00:02.0/class":            "0x030000\n",
	"sys/devices/pci0/0000:00:02.0/modalias":         "pci:vga\n",
	"sys/bus/pci/devices/0000:00:02.0":               "->../../../devices/pci0/0000:00:02.0",
	"sys/devices/pci0/0000:00:03.0/class":            "0x020000\n",
	"sys/devices/pci0/0000:00:03.0/vendor":           "0x1af4\n",
	"sys/devices/pci0/0000:00:03.0/device":           "0x1000\n",
	"sys/devices/pci0/0000:00:03.0/driver":           "->../../../bus/pci/drivers/virtio-pci",
	"sys/bus/pci/devices/0000:00:03.0":               "->../../../devices/pci0/0000:00:03.0",
	"sys/devices/pci0/0000:00:03.0/virtio0/vendor":   "0x1af4\n",
	"sys/devices/pci0/0000:00:03.0/virtio0/device":   "0x0001\n",
	"sys/devices/pci0/0000:00:03.0/virtio0/modalias": "virtio:d00000001v00001AF4\n",
	"sys/devices/pci0/0000:00:03.0/virtio0/driver":   "->../../../../bus/virtio/drivers/virtio_net",
	"sys/bus/virtio/devices/virtio0":                 "->../../../devices/pci0/0000:00:03.0/virtio0",
	"sys/devices/pci0/virtio9/modalias":              "virtio:d00000001v00001AF4\n",
	"sys/bus/virtio/devices/virtio9":                 "->../../../devices/pci0/virtio9",

	"sys/devices/pci0/usb1/1-1/idVendor":                     "0b95\n",
	"sys/devices/pci0/usb1/1-1/idProduct":                    "1790\n",
	"sys/devices/pci0/usb1/1-1/product":                      "AX88179 Gigabit Ethernet\n",
	"sys/devices/pci0/usb1/1-1/1-1:1.0/modalias":             "usb:v0B95p1790\n",
	"sys/devices/pci0/usb1/1-1/1-1:1.0/bInterfaceClass":      "ff\n",
	"sys/bus/usb/devices/1-1:1.0":                            "->../../../devices/pci0/usb1/1-1/1-1:1.0",
	"sys/devices/pci0/usb1/1-2/idVendor":                     "05ac\n",
	"sys/devices/pci0/usb1/1-2/idProduct":                    "1402\n",
	"sys/devices/pci0/usb1/1-2/product":                      "Webcam\n",
	"sys/devices/pci0/usb1/1-2/1-2:1.0/modalias":             "usb:v05ACp1402\n",
	"sys/devices/pci0/usb1/1-2/1-2:1.0/bInterfaceClass":      "ff\n",
	"sys/bus/usb/devices/1-2:1.0":                            "->../../../devices/pci0/usb1/1-2/1-2:1.0",
	"sys/devices/pci0/usb1/1-3/idVendor":                     "0bda\n",
	"sys/devices/pci0/usb1/1-3/idProduct":                    "8153\n",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/modalias":             "usb:v0BDAp8153\n",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/bInterfaceClass":      "02\n",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/bInterfaceSubClass":   "06\n",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/driver":               "->../../../../../bus/usb/drivers/cdc_ether",
	"sys/bus/usb/devices/1-3:2.0":                            "->../../../devices/pci0/usb1/1-3/1-3:2.0",
	"sys/devices/pci0/0000:00:03.0/virtio0/net/eth0/address": "52:54:00:12:34:56\n",
	"sys/devices/pci0/0000:00:03.0/virtio0/net/eth0/carrier": "1\n",
	"sys/devices/pci0/0000:00:03.0/virtio0/net/eth0/device":  "->../..",
	"sys/class/net/eth0":                                     "->../../devices/pci0/0000:00:03.0/virtio0/net/eth0",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/net/eth1/address":     "00:e0:4c:68:00:01\n",
	"sys/devices/pci0/usb1/1-3/1-3:2.0/net/eth1/device":      "->../..",
	"sys/class/net/eth1":                                     "->../../devices/pci0/usb1/1-3/1-3:2.0/net/eth1",
	"sys/class/net/lo/address":                               "00:00:00:00:00:00\n",
}

func TestNICs(t *testing.T) {
	got := fake(t, machine).nics()
	want := []NIC{
		{Name: "eth0", MAC: "52:54:00:12:34:56", Driver: "virtio_net", ID: "1af4:1000", Carrier: true},
		{Name: "eth1", MAC: "00:e0:4c:68:00:01", Driver: "cdc_ether", ID: "0bda:8153"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if s := got[0].String(); s != "eth0 (52:54:00:12:34:56, virtio_net, 1af4:1000)" {
		t.Errorf("String() = %q", s)
	}
}

func TestUndriven(t *testing.T) {
	var got []string
	for _, d := range fake(t, machine).undriven() {
		got = append(got, d.Bus+" "+d.String())
	}
	slices.Sort(got)
	const todo = " has no driver in this image; build it with mkimage --drivers all"
	want := []string{
		"pci NIC 8086:15b7" + todo,
		"usb NIC 0b95:1790 (AX88179 Gigabit Ethernet)" + todo,
		"virtio NIC virtio:d00000001v00001AF4" + todo,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFacts(t *testing.T) {
	root := fake(t, map[string]string{
		"sys/class/dmi/id/product_uuid": "4C4C4544-0042-3010-8058-B9C04F333832\n",
		"sys/class/dmi/id/sys_vendor":   "Dell Inc.\n",
		"sys/class/dmi/id/product_name": "OptiPlex 7040\n",
		"sys/firmware/efi/runtime":      "0x1\n",
		"proc/meminfo":                  "MemTotal:       16301252 kB\nMemFree:         1000 kB\n",
	})
	want := Facts{UUID: "4c4c4544-0042-3010-8058-b9c04f333832", Vendor: "Dell Inc.", Product: "OptiPlex 7040",
		MemoryMiB: 15919, Installed: Memory{15919 << 20, fromTotal}, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), EFI: true}
	if got := root.facts(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	empty := fake(t, map[string]string{"sys/class/dmi/id/product_uuid": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n"})
	if got := empty.facts(); got.UUID != "" || got.EFI || got.MemoryMiB != 0 {
		t.Errorf("machine that says nothing: %+v", got)
	}
	pi := fake(t, map[string]string{"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00"})
	if got := pi.facts(); got.Name() != "Raspberry Pi 5 Model B Rev 1.0" {
		t.Errorf("a machine with a device tree: %+v", got)
	}
}

// kmodule finds modules in our layout, in the order of their dependencies, and a broken one says so.
func TestProber(t *testing.T) {
	need.Root(t)
	root := fake(t, map[string]string{
		"lib/modules/6.1.0/modules.dep":               "kernel/drivers/net/bad.ko:\n",
		"lib/modules/6.1.0/kernel/drivers/net/bad.ko": "not a module",
		"lib/modules/6.1.0/modules.builtin":           "kernel/drivers/input/atkbd.ko\n",
	})
	probe, err := newProber(root, "6.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := probe("atkbd"); err != nil {
		t.Errorf("a built-in module: %v", err)
	}
	if err := probe("bad"); err == nil || !strings.Contains(err.Error(), "load module bad") {
		t.Errorf("a broken module: %v", err)
	}
	if err := probe("absent"); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("an absent module: %v", err)
	}
}
