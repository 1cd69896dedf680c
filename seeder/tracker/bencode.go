package tracker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// dict is a bencoded dictionary (BEP 3); its keys are written sorted as raw strings, as the specification wants.
type dict map[string]any

// bencode appends the bencoding of v to b: int, string, []any and dict, nested at will. Another type is a mistake in
// this package, not in anyone's input.
func bencode(b []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		b = append(b, 'i')
		b = strconv.AppendInt(b, int64(v), 10)
		return append(b, 'e')
	case string:
		b = strconv.AppendInt(b, int64(len(v)), 10)
		b = append(b, ':')
		return append(b, v...)
	case []any:
		b = append(b, 'l')
		for _, e := range v {
			b = bencode(b, e)
		}
		return append(b, 'e')
	case dict:
		b = append(b, 'd')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = bencode(b, key)
			b = bencode(b, v[key])
		}
		return append(b, 'e')
	}
	panic(fmt.Sprintf("bencode: unsupported type %T", v))
}
