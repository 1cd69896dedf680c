package site

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// minShare is what a system may write at least, in bytes: with less none starts.
	minShare = 1 << 20
	// maxPercent leaves something for the images and the system itself: nodes add all three up before they fetch anything.
	maxPercent = 90
)

// share reads a part of a node's memory: a percentage, or a size with its unit; the zero Share if it is absent or empty.
func (m *mapping) share(key string) (s catalog.Share) {
	const do = `write a share of the memory, such as "50%", or a size with its unit, such as "2 GiB"`
	n := m.value(key)
	if n == nil {
		return s
	}
	if kind(n) != "text" {
		m.wrongType(n, key, "a share or a size", do)
		return s
	}
	t, ok := m.textOf(key, n)
	if !ok || t.value == "" {
		return s
	}
	if percent, ok := strings.CutSuffix(t.value, "%"); ok {
		if s.Percent, _ = strconv.Atoi(strings.TrimSpace(percent)); s.Percent < 1 || s.Percent > maxPercent {
			m.check.problem(t.place, fmt.Sprintf("%s%s: %q is no share of the memory that a system can have to write into", m.path, key, t.value),
				fmt.Sprintf(`write one from "1%%" to "%d%%"; the images and the system itself need the rest`, maxPercent))
			return catalog.Share{}
		}
		return s
	}
	bytes, ok := parseQuantity(t.value, sizeUnits)
	switch {
	case !ok || bytes > catalog.MaxSize:
		m.check.problem(t.place, fmt.Sprintf("%s%s: %q is neither a share nor a size", m.path, key, t.value), do)
		return s
	case bytes < minShare:
		m.check.problem(t.place, fmt.Sprintf("%s%s: with %s no system starts", m.path, key, t.value), `write at least "1 MiB"`)
		return s
	}
	return catalog.Share{Bytes: bytes}
}
