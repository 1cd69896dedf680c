package tracker

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestBencode(t *testing.T) {
	for want, v := range map[string]any{
		"i0e":             0,
		"i-42e":           -42,
		"0:":              "",
		"4:sp\x00m":       "sp\x00m",
		"le":              []any{},
		"l1:ai1ee":        []any{"a", 1},
		"de":              dict{},
		"d1:B0:1:a1:xe":   dict{"a": "x", "B": ""},
		"d1:ad1:bli7eeee": dict{"a": dict{"b": []any{7}}},
	} {
		if got := string(bencode(nil, v)); got != want {
			t.Errorf("bencode(%v) = %q, want %q", v, got, want)
		}
		back, rest, err := bdecode(want)
		if err != nil || rest != "" || !reflect.DeepEqual(back, v) {
			t.Errorf("bdecode(%q) = %v, %q, %v", want, back, rest, err)
		}
	}
}

var errBencode = errors.New("not bencoded")

// bdecode is the other half, for tests: it reads one value and checks that dictionary keys are sorted.
func bdecode(s string) (v any, rest string, err error) {
	if s == "" {
		return nil, "", errBencode
	}
	switch s[0] {
	case 'i':
		number, rest, ok := strings.Cut(s[1:], "e")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return nil, "", errBencode
		}
		return n, rest, nil
	case 'l', 'd':
		l := []any{}
		rest := s[1:]
		for !strings.HasPrefix(rest, "e") {
			e, r, err := bdecode(rest)
			if err != nil {
				return nil, "", err
			}
			l, rest = append(l, e), r
		}
		if s[0] == 'l' {
			return l, rest[1:], nil
		}
		d, err := pairs(l)
		return d, rest[1:], err
	}
	digits, tail, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > len(tail) {
		return nil, "", errBencode
	}
	return tail[:n], tail[n:], nil
}

func pairs(l []any) (dict, error) {
	if len(l)%2 != 0 {
		return nil, errBencode
	}
	d, last := dict{}, ""
	for i := 0; i < len(l); i += 2 {
		key, ok := l[i].(string)
		if !ok || i > 0 && key <= last {
			return nil, errBencode
		}
		d[key], last = l[i+1], key
	}
	return d, nil
}
