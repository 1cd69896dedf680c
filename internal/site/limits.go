package site

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// defaultSeedLimit is in seconds: about what a large system takes on a slow network.
	defaultSeedLimit = 300
	// minRate, in bytes per second, is what a limit is at least: below it downloads would be taken for broken ones.
	minRate = 64 << 10
)

// readSeeding reads the section seed. What it returns of the rule time is zero, which catalogs have always had.
func readSeeding(m *mapping) (s catalog.Seeding, leaveAtStart bool) {
	s = catalog.Seeding{
		Until: m.oneOf("until", catalog.UntilTime, catalog.UntilTime, catalog.UntilSwarm, catalog.UntilRatio),
		Ratio: m.ratio("ratio", 1),
		Limit: m.integer("limit", defaultSeedLimit, 0, math.MaxInt32),
	}
	leaveAtStart = !m.boolean("after_start", true)
	m.done()
	switch s.Until {
	case catalog.UntilTime:
		return catalog.Seeding{}, leaveAtStart
	case catalog.UntilSwarm:
		s.Ratio = 0
	}
	return s, leaveAtStart
}

// ratio reads a number above zero, with or without decimals.
func (m *mapping) ratio(key string, absent float64) float64 {
	const most = 1000
	n := m.value(key)
	if n == nil {
		return absent
	}
	do := "write a number such as 1 or 1.5"
	var v float64
	switch n := n.(type) {
	case *ast.FloatNode:
		v = n.Value
	case *ast.IntegerNode:
		v, _ = strconv.ParseFloat(fmt.Sprint(n.Value), 64) // int64 or uint64
	default:
		m.wrongType(n, key, "a number", plainly(n, do))
		return absent
	}
	if !(v > 0 && v <= most) {
		m.check.problem(m.place(key), fmt.Sprintf("%s%s is not above 0 and at most %d", m.path, key, most), do)
		return absent
	}
	return v
}

// readLimits reads the section limits.
func readLimits(m *mapping, l *Limits) {
	seeder := m.mapping("seeder")
	l.Seeder = seeder.rate("upload")
	seeder.done()
	node := m.mapping("node")
	l.Node = catalog.Limits{Upload: node.rate("upload"), Download: node.rate("download")}
	node.done()
	m.done()
}

// rate reads a number of bits or bytes per second with its unit; 0 if it is absent or empty.
func (m *mapping) rate(key string) int64 {
	const do = `write a number and its unit, such as "100 Mbit/s" or "12 MB/s"; empty is no limit`
	n := m.value(key)
	if n == nil {
		return 0
	}
	if kind(n) != "text" {
		m.wrongType(n, key, "a speed with its unit", do)
		return 0
	}
	t, ok := m.textOf(key, n)
	if !ok || t.value == "" {
		return 0
	}
	rate, ok := parseRate(t.value)
	switch {
	case !ok:
		m.check.problem(t.place, fmt.Sprintf("%s%s: %q is no speed", m.path, key, t.value), do)
		return 0
	case rate < minRate:
		m.check.problem(t.place, fmt.Sprintf("%s%s: %s is less than anything can be done with", m.path, key, t.value),
			`write at least "64 KiB/s"`)
		return 0
	}
	return rate
}

var quantityForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([a-zA-Z]+)$`)

// sizeUnits are in bytes.
var sizeUnits = map[string]float64{
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// bitUnits are in bytes, too. A letter's case tells bits from bytes nowhere: bits are written out.
var bitUnits = map[string]float64{"kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8}

// ParseSize returns the bytes that a text such as "8 GiB" speaks of, and whether it is a size.
func ParseSize(s string) (bytes int64, ok bool) {
	return parseQuantity(strings.TrimSpace(s), sizeUnits)
}

// parseRate returns the bytes per second that a text such as "100 Mbit/s" speaks of.
func parseRate(s string) (int64, bool) {
	s = strings.TrimSuffix(s, "/s")
	if n, ok := parseQuantity(s, sizeUnits); ok {
		return n, true
	}
	return parseQuantity(s, bitUnits)
}

// parseQuantity returns the bytes that a number with one of the units speaks of.
func parseQuantity(s string, units map[string]float64) (int64, bool) {
	m := quantityForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	unit, known := units[m[2]]
	v, err := strconv.ParseFloat(m[1], 64)
	if v *= unit; !known || err != nil || v >= math.MaxInt64 {
		return 0, false
	}
	return int64(v), true
}
