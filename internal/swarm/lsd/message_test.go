package lsd

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

var hash = catalog.InfoHash{0xab, 1, 2, 3, 19: 0xff}

// valid is a search as BEP 14 prints it.
const valid = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: ab010203000000000000000000000000000000ff\r\ncookie: bt1\r\n\r\n\r\n"

func TestEncode(t *testing.T) {
	if got := string(Search{6881, []catalog.InfoHash{hash}, "bt1"}.Encode()); got != valid {
		t.Errorf("%q, want %q", got, valid)
	}
	most := Search{Port: 65535, Cookie: strings.Repeat("x", maxCookie)}
	for i := range MaxInfoHashes {
		most.InfoHashes = append(most.InfoHashes, catalog.InfoHash{byte(i)})
	}
	b := most.Encode()
	if got, err := Parse(b); err != nil || len(b) > MaxMessage || !reflect.DeepEqual(got, most) {
		t.Errorf("of the longest, %d bytes, comes %+v, %v", len(b), got, err)
	}
}

func TestParse(t *testing.T) {
	swap := func(from, to string) string { return strings.Replace(valid, from, to, 1) }
	for name, c := range map[string]struct{ datagram, want string }{ // want is of the error; empty: it is valid
		"as it should be":      {valid, ""},
		"one empty line":       {strings.TrimSuffix(valid, "\r\n"), ""},
		"other letters":        {swap("Infohash: ab", "INFOHASH: AB"), ""},
		"other headers":        {swap("cookie", "X-New"), ""},
		"no cookie":            {swap("cookie: bt1\r\n", ""), ""},
		"empty":                {"", "no search"},
		"of another protocol":  {swap("BT-SEARCH", "M-SEARCH"), `no search, but "M-SEARCH"`},
		"of a file":            {swap(" * ", " /x "), "no search"},
		"to another group":     {swap("239.192.152.143", "239.192.152.144"), "for the host"},
		"no port":              {swap("Port: 6881\r\n", ""), `the port ""`},
		"port 0":               {swap("6881", "0"), `the port "0"`},
		"a port beyond all":    {swap("6881", "65536"), `the port "65536"`},
		"a negative port":      {swap("6881", "-1"), `the port "-1"`},
		"no infohash":          {swap("Infohash", "Hash"), "0 infohashes"},
		"a short infohash":     {swap("ab01", "01"), "an infohash that is none"},
		"letters beyond f":     {swap("ab01", "xy01"), "an infohash that is none"},
		"many infohashes":      {swap("Infohash", strings.Repeat("Infohash: ab\r\n", MaxInfoHashes)+"Infohash"), "25 infohashes"},
		"longer than can be":   {valid + strings.Repeat("x", MaxMessage), "at most 1400"},
		"a long cookie":        {swap("bt1", strings.Repeat("x", maxCookie+1)), "a cookie of 65 bytes"},
		"headers without ends": {strings.TrimSuffix(valid, "\r\n\r\n\r\n"), "no search"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse([]byte(c.datagram))
			switch {
			case c.want == "" && (err != nil || s.Port != 6881 || !reflect.DeepEqual(s.InfoHashes, []catalog.InfoHash{hash})):
				t.Errorf("%+v, %v", s, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%+v, %v; want %q", s, err, c.want)
			}
		})
	}
}

// Whatever comes is a search that would be sent the same way, or none.
func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(strings.Replace(valid, "\r\n", "\n", -1)))
	f.Add([]byte("BT-SEARCH * HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		if s.Port == 0 || len(s.InfoHashes) == 0 || len(s.InfoHashes) > MaxInfoHashes || len(s.Cookie) > maxCookie {
			t.Fatalf("%+v", s)
		}
		again, err := Parse(s.Encode())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
			t.Fatalf("%+v becomes %+v, %v", s, again, err)
		}
	})
}
