package lab

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestH2Proxy(t *testing.T) {
	needQEMU(t)
	room := ForTest(t)
	other, err := room.Host("router", Addr("10.77.0.254/16"))
	if err != nil { t.Fatal(err) }
	seed, err := room.Host("seeder", Addr("10.77.0.1/16"))
	if err != nil { t.Fatal(err) }
	if _, err := Dnsmasq(t.Context(), other, "--dhcp-range=10.77.1.10,10.77.1.99,1h", "--dhcp-boot=pxelinux.0,,10.77.0.1", "--dhcp-option-force=209,pxelinux.cfg"); err != nil { t.Fatal(err) }
	dir := t.TempDir()
	w := func(name, body string) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil { t.Fatal(err) }
	}
	w("Boottorrent.yaml", "boottorrent: {version: 0, timeout: 5, default_os: run, seed_time: 0, host_ip: 10.77.0.1}\ndnsmasq: {enable_dhcp: False, enable_tftp: True, interface: "+os.Getenv("H2IF")+", dhcp_range: \"10.0.0.5,10.0.0.9\"}\nopentracker: {enable: True, port: 10001}\naria2: {bt_enable_lpd: False, console_log_level: debug}\n")
	w("oss/run/config.yaml", "dispname: A\nmethod: bin\nbin: run.sh\n")
	w("oss/run/run.sh", "#!/bin/sh\n")
	w("image/vmlinuz", "kernel")
	w("image/initramfs.cpio.xz", "initrd")
	p, err := seed.Start(t.Context(), os.Getenv("H2BIN"), "serve", dir)
	if err != nil { t.Fatal(err) }
	Await(t, p, bootTime, `is served on`)
	n, err := room.Node(NodeConfig{Name: "n1", MemoryMiB: 128})
	if err != nil { t.Fatal(err) }
	_ = n
	time.Sleep(25 * time.Second)
}
