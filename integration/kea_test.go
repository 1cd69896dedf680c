package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// The addresses of docs/dhcp.md, beside the seeder's.
const (
	kea1Addr    = "10.77.0.251"
	kea2Addr    = "10.77.0.252"
	seeder2Addr = "10.77.0.2/16"
)

// keaPage is a block of docs/dhcp.md: what the page shows is what is tested.
func keaPage(t *testing.T, block string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/dhcp.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json " + block + "\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/dhcp.md has no block %s", block)
	}
	return string(m[1])
}

// keaThatNames is the server of docs/dhcp.md alone, which also says what to boot.
func keaThatNames(t *testing.T) string {
	t.Helper()
	var config, boot map[string]any
	if err := json.Unmarshal([]byte(keaPage(t, "kea-dhcp4")), &config); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(keaPage(t, "kea-boot")), &boot); err != nil {
		t.Fatal(err)
	}
	server := config["Dhcp4"].(map[string]any)
	delete(server, "hooks-libraries")
	maps.Copy(server, boot)
	out, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Two Keas in hot standby hand out addresses, and two seeders of one site stand beside them as proxies. A machine boots and has one
// seeder. The first Kea and one seeder go, the seeder just when its offer was taken: the next machine boots from the others with one retry
// at most. At last Kea says itself what to boot, and the seeder doesn't listen to DHCP.
func TestKeaBesideTwoProxies(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\nseed_time: 0\n")
	need.Command(t, "kea-dhcp4", "kea-dhcp4-server")
	need.Command(t, "kea-ctrl-agent", "kea-ctrl-agent")
	need.Command(t, "udhcpc", "udhcpc")
	ctx := t.Context()
	r.must(r.site.AddTiny(ctx, "tiny", 1<<20))
	r.serve()
	host2, err := r.Host("seeder2", lab.Addr(seeder2Addr))
	r.must(err)
	second, err := r.seederBeside(host2)
	r.must(err)

	primary, standby := r.hotStandby()
	n1 := r.node(lab.NodeConfig{Name: "n1", MemoryMiB: 512})
	r.awaitTiny(n1, toChooser)
	r.oneSeeder(n1, r.seeder, second)

	r.must(primary.Kill())
	lab.Await(t, standby.Server, soon, `HA_STATE_TRANSITION.* PARTNER-DOWN`)
	// Only the first seeder is there when the machine asks; then only the second.
	r.must(host2.SetLink(ctx, false))
	n2 := r.node(lab.NodeConfig{Name: "n2", MemoryMiB: 512, Args: []string{"-boot", "reboot-timeout=1000"}})
	mac := n2.Config.NICs[0].MAC
	lab.Await(t, r.seeder, toMessage, `boot request answered.*`+mac)
	r.must(r.seeder.Kill())
	r.must(host2.SetLink(ctx, true))
	r.awaitTiny(n2, toChooser)
	if tries := strings.Count(n2.Console().Output(), "Configuring (net0"); tries > 2 {
		t.Errorf("the firmware of %s tried %d times, want at most one retry", mac, tries)
	}
	lab.Await(t, standby.Server, soon, `DHCP4_LEASE_ALLOC.*`+mac)

	second.Stop()
	r.must(standby.Kill())
	r.keaNamesTheSeeder()
}

// seederBeside serves the room's site, with the same keys and systems, from another host.
func (r *room) seederBeside(host *lab.Host) (*kit.Seeder, error) {
	site, err := r.site.Kit.NewSite(r.t.Context(), filepath.Join(r.t.TempDir(), "second"), "room")
	if err != nil {
		return nil, err
	}
	if err := site.ShareImage(r.site); err != nil {
		return nil, err
	}
	config, err := os.ReadFile(r.site.Path("boottorrent.yaml"))
	if err != nil {
		return nil, err
	}
	if err := site.Configure(string(config)); err != nil {
		return nil, err
	}
	if err := site.AddTiny(r.t.Context(), "tiny", 1<<20); err != nil {
		return nil, err
	}
	return site.Serve(r.t.Context(), host)
}

// hotStandby starts both servers of docs/dhcp.md and returns when each knows of the other.
func (r *room) hotStandby() (primary, standby *lab.Kea) {
	r.t.Helper()
	server, agent := keaPage(r.t, "kea-dhcp4"), keaPage(r.t, "kea-ctrl-agent")
	start := func(name, addr string) *lab.Kea {
		host, err := r.Host(name, lab.Addr(addr+"/16"))
		r.must(err)
		named := strings.Replace(server, `"this-server-name": "kea1"`, `"this-server-name": "`+name+`"`, 1)
		k, err := lab.StartKea(r.t.Context(), host, named, strings.ReplaceAll(agent, kea1Addr, addr))
		r.must(err)
		return k
	}
	primary, standby = start("kea1", kea1Addr), start("kea2", kea2Addr)
	for _, k := range []*lab.Kea{primary, standby} {
		lab.Await(r.t, k.Server, soon, `HA_STATE_TRANSITION.* HOT-STANDBY`)
	}
	return primary, standby
}

// oneSeeder asserts that a node has reported to one of the seeders and not to the others, and nobody asked it to choose.
func (r *room) oneSeeder(n *lab.Node, seeders ...*kit.Seeder) {
	r.t.Helper()
	var by []string
	for _, s := range seeders {
		nodes, err := s.Nodes(r.t.Context())
		r.must(err)
		for _, node := range nodes {
			if node.MAC == n.Config.NICs[0].MAC {
				by = append(by, s.Base)
			}
		}
	}
	if len(by) != 1 {
		r.t.Errorf("%s has reported to %q, want one seeder", n.Config.Name, by)
	}
	if strings.Contains(n.Console().Output(), "2 answer") {
		r.t.Errorf("%s asked which seeder to take, although its offer came from one", n.Config.Name)
	}
}

// keaNamesTheSeeder has Kea say what to boot: a UEFI machine gets iPXE by TFTP and then the script, BIOS firmware is told undionly.kpxe.
func (r *room) keaNamesTheSeeder() {
	r.t.Helper()
	t, ctx := r.t, r.t.Context()
	r.must(r.site.Configure("version: 1\nname: room\ndefault: tiny\ntimeout: 0\nseed_time: 0\ndhcp:\n  mode: off\n"))
	r.serve()
	_, err := lab.StartKea(ctx, r.router, keaThatNames(t), "")
	r.must(err)
	n3 := r.node(lab.NodeConfig{Name: "n3", MemoryMiB: 512, Firmware: lab.UEFI})

	client, err := r.Host("client")
	r.must(err)
	script := filepath.Join(t.TempDir(), "script")
	r.must(os.WriteFile(script, []byte("#!/bin/sh\n[ -z \"$ip\" ] || echo \"told next=$siaddr file=$boot_file tftp=$tftp bootfile=$bootfile\"\n"), 0o755))
	for arch, want := range map[string]string{
		"0000": "next=10.77.0.1 file=undionly.kpxe tftp=10.77.0.1 bootfile=undionly.kpxe",
		"0007": "next=10.77.0.1 file=snponly.efi tftp=10.77.0.1 bootfile=snponly.efi",
	} {
		out, err := client.Command(ctx, "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", script,
			"-O", "tftp", "-O", "bootfile", "-V", "PXEClient", "-x", "0x5d:"+arch).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "told "+want+"\n") {
			t.Errorf("architecture %s: want %q: %v\n%s", arch, want, err, out)
		}
	}
	r.awaitTiny(n3, toChooser)
	if !strings.Contains(fmt.Sprint(r.reports()), n3.Config.NICs[0].MAC) {
		t.Errorf("n3 has not reported: %v", r.reports())
	}
}
