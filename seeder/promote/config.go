package promote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
)

// keys are the keys of a YAML document in their order.
type keys yaml.MapSlice

// put adds a key.
func (k *keys) put(key string, value any) { *k = append(*k, yaml.MapItem{Key: key, Value: value}) }

// some adds a key unless its value is nothing.
func some[T comparable](k *keys, key string, value T) {
	if nothing := *new(T); value != nothing {
		k.put(key, value)
	}
}

// list adds a key with a list unless that is empty.
func (k *keys) list(key string, values []string) {
	if len(values) > 0 {
		k.put(key, values)
	}
}

// below adds a key with keys below it unless there are none.
func (k *keys) below(key string, sub keys) {
	if len(sub) > 0 {
		k.put(key, yaml.MapSlice(sub))
	}
}

// local are the keys of mirror.yaml that mean the same in boottorrent.yaml.
var local = []string{"serve", "dhcp", "ports", "racks", "log", "page"}

// configHead stands above boottorrent.yaml.
const configHead = "# Made by 'seeder promote' of what this mirror had: the signed catalog, and what was local in mirror.yaml.\n# After a change: seeder check DIR\n"

// config is boottorrent.yaml of a site with this catalog; mirrored is mirror.yaml.
func config(cat *catalog.Catalog, manifest *catalog.BootManifest, mirrored []byte) ([]byte, error) {
	var k keys
	k.put("version", 1)
	k.put("name", cat.Site)
	k.put("arch", arches(manifest))
	d := cat.Defaults
	k.put("default", d.System)
	k.put("timeout", d.Timeout)
	k.put("seed_time", d.SeedTime)
	var seed keys
	seeding(&seed, d.Seed)
	seed.put("after_start", !d.LeaveAtStart)
	k.below("seed", seed)
	k.put("local", cat.Local)
	here := map[string]any{}
	var ordered yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(mirrored, &ordered, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("read %s: %w", site.MirrorFile, err)
	}
	for _, item := range ordered {
		here[fmt.Sprint(item.Key)] = item.Value
	}
	for _, key := range local {
		if v := here[key]; v != nil {
			k.put(key, v)
		}
	}
	boot(&k, cat, manifest)
	limits(&k, cat.Limits, here["limits"])
	for _, s := range cat.Systems {
		if q := s.Launch.QEMU; q != nil && q.VNCPassword != "" {
			k.put("vnc_password", q.VNCPassword)
			break
		}
	}
	var groups, machines []yaml.MapSlice
	for _, g := range cat.Rules.Groups {
		groups = append(groups, yaml.MapSlice(group(g)))
	}
	for _, m := range cat.Rules.Machines {
		machines = append(machines, yaml.MapSlice(machine(m)))
	}
	if groups != nil {
		k.put("groups", groups)
	}
	if machines != nil {
		k.put("machines", machines)
	}
	return document(configHead, k)
}

// document is a YAML document.
func document(head string, k keys) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(yaml.MapSlice(k), yaml.IndentSequence(true))
	return append([]byte(head), b...), err
}

// arches are the architectures for which there is an image.
func arches(m *catalog.BootManifest) (all []string) {
	for _, a := range arch.All {
		if slices.ContainsFunc(m.Files, func(f catalog.BootFile) bool { return f.Kind == catalog.KindKernel && f.Arch == a }) {
			all = append(all, string(a))
		}
	}
	if all == nil {
		all = []string{string(arch.AMD64)}
	}
	return all
}

// boot adds how phase 1 is started.
func boot(k *keys, cat *catalog.Catalog, m *catalog.BootManifest) {
	hasKernel := slices.ContainsFunc(m.Files, func(f catalog.BootFile) bool { return f.Kind == catalog.KindKernel })
	if hasKernel && !slices.ContainsFunc(cat.Runtimes, func(r catalog.Runtime) bool { return catalog.IsPhase1(r.Name) }) {
		k.below("phase1", keys{{Key: "helpers", Value: string(site.HelpersOff)}})
	}
	if m.Start == nil {
		return
	}
	some(k, "uefi", m.Start.UEFI)
	rest, ok := strings.CutPrefix(m.Start.Images[arch.AMD64].Cmdline, strings.Join(image.Always(arch.AMD64), " "))
	if !ok {
		return
	}
	consoles := []string{}
	for {
		next, after, _ := strings.Cut(strings.TrimPrefix(rest, " "), " ")
		console, is := strings.CutPrefix(next, "console=")
		if !is {
			break
		}
		consoles, rest = append(consoles, console), after
	}
	node := keys{{Key: "consoles", Value: consoles}}
	some(&node, "cmdline", strings.TrimSpace(rest))
	k.below("node", node)
}

// limits adds the bounds of nodes, and what mirror.yaml has of its own.
func limits(k *keys, node catalog.Limits, mirrored any) {
	var l keys
	if own, ok := mirrored.(yaml.MapSlice); ok {
		l = append(l, own...)
	}
	l.below("node", rates(node))
	k.below("limits", l)
}

func rates(l catalog.Limits) (k keys) {
	if l.Upload > 0 {
		k.put("upload", rate(l.Upload))
	}
	if l.Download > 0 {
		k.put("download", rate(l.Download))
	}
	return k
}

const bytesOfMbit = 1e6 / 8

// rate is a number of bytes per second in words.
func rate(bytes int64) string {
	if bytes%bytesOfMbit == 0 {
		return fmt.Sprintf("%d Mbit/s", bytes/bytesOfMbit)
	}
	return size(bytes) + "/s"
}

// size is a number of bytes in words, exactly.
func size(bytes int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"GB", 1e9}, {"MB", 1e6}} {
		if bytes%u.bytes == 0 {
			return fmt.Sprintf("%d %s", bytes/u.bytes, u.name)
		}
	}
	return strconv.FormatFloat(float64(bytes)/(1<<10), 'f', -1, 64) + " KiB" // which has no more digits than a float64
}

func share(s catalog.Share) string {
	switch {
	case s.Percent > 0:
		return fmt.Sprintf("%d%%", s.Percent)
	case s.Bytes > 0:
		return size(s.Bytes)
	}
	return ""
}

// seeding adds a rule for leaving that is not that of seed_time.
func seeding(k *keys, s catalog.Seeding) {
	if s.Until == "" || s.Until == catalog.UntilTime {
		return
	}
	k.put("until", s.Until)
	some(k, "ratio", s.Ratio)
	k.put("limit", s.Limit)
}

// group is one of the groups.
func group(g catalog.Group) (k keys) {
	k.put("name", g.Name)
	k.below("match", match(g.Match))
	if g.Default != nil {
		k.put("default", orMenu(*g.Default))
	}
	if g.Timeout != nil {
		k.put("timeout", *g.Timeout)
	}
	some(&k, "menu", g.Menu)
	some(&k, "password", g.Password)
	k.list("systems", g.Systems)
	some(&k, "cmdline", g.Cmdline)
	var seed keys
	if g.Seed != nil {
		if g.Seed.Until == catalog.UntilTime {
			k.put("seed_time", g.Seed.Limit)
		}
		seeding(&seed, *g.Seed)
	}
	if g.LeaveAtStart != nil {
		seed.put("after_start", !*g.LeaveAtStart)
	}
	k.below("seed", seed)
	if g.Limits != nil {
		l := rates(*g.Limits)
		if len(l) == 0 {
			l.put("upload", "")
		}
		k.below("limits", l)
	}
	some(&k, "hostname", g.Hostname)
	some(&k, "writable", g.Writable)
	some(&k, "writable_limit", share(g.WritableLimit))
	k.list("ssh_keys", g.SSHKeys)
	some(&k, "next", g.Next)
	return k
}

// orMenu is a system's name as a default, or the word for none.
func orMenu(system string) string {
	if system == "" {
		return catalog.StartMenu
	}
	return system
}

func match(m catalog.Match) (k keys) {
	k.list("mac", m.MAC)
	k.list("uuid", m.UUID)
	k.list("serial", m.Serial)
	k.list("vendor", m.Vendor)
	k.list("model", m.Model)
	var subnets []string
	for _, s := range m.Subnet {
		subnets = append(subnets, s.String())
	}
	k.list("subnet", subnets)
	k.list("arch", m.Arch)
	some(&k, "firmware", m.Firmware)
	if b := m.Memory; b != nil {
		k.put("memory", b.Op+" "+size(b.Bytes))
	}
	if m.SecureBoot != nil {
		k.put("secure_boot", *m.SecureBoot)
	}
	return k
}

func machine(m catalog.Machine) (k keys) {
	k.put("mac", m.MAC)
	some(&k, "name", m.Name)
	some(&k, "group", m.Group)
	some(&k, "hostname", m.Hostname)
	return k
}
