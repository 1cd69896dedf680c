package catalog_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestOpenSeeders(t *testing.T) {
	list, err := catalog.OpenSeeders([]byte(`{"seeders": [
		{"http": "http://10.0.1.1", "torrent": "10.0.1.1:6881"},
		{"http": "http://10.0.2.1:8080", "torrent": "10.0.2.1:6881", "more": true},
		{"http": "http://10.0.3.1/", "torrent": "10.0.3.1:6881"},
		{"http": "", "torrent": "10.0.3.1:6881"},
		{"http": "http://10.0.3.1", "torrent": "10.0.3.1:0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list.Seeders {
		got = append(got, s.HTTP+" "+s.Torrent.String())
	}
	if want := []string{"http://10.0.1.1 10.0.1.1:6881", "http://10.0.2.1:8080 10.0.2.1:6881"}; !reflect.DeepEqual(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestOpenSeedersIsBounded(t *testing.T) {
	var all []string
	for i := range 2 * catalog.MaxSeeders {
		all = append(all, fmt.Sprintf(`{"http":"http://10.0.0.%d","torrent":"10.0.0.%[1]d:1"}`, i))
	}
	document := `{"seeders":[` + strings.Join(all, ",") + `]}`
	if list, err := catalog.OpenSeeders([]byte(document)); err != nil || len(list.Seeders) != catalog.MaxSeeders {
		t.Errorf("of %d seeders %d were read: %v", len(all), len(list.Seeders), err)
	}
	for _, bad := range []string{"", "[]", `{"seeders":[{"torrent":"nowhere"}]}`, document + strings.Repeat(" ", catalog.MaxSeederList)} {
		if list, err := catalog.OpenSeeders([]byte(bad)); err == nil {
			t.Errorf("%.40q was read as %v", bad, list)
		}
	}
}
