package catalog

import (
	"strings"
	"testing"
)

// A catalog without the fields is the one that nodes of earlier releases were made for, byte for byte, and means what it did.
func TestSeedingOfOldCatalogs(t *testing.T) {
	c := Catalog{Version: Version, Defaults: Defaults{SeedTime: 30}}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), `"seed"`) || strings.Contains(string(b), "limits") {
		t.Errorf("a site that says nothing of it has\n%s", b)
	}
	for name, d := range map[string]Defaults{
		"none":         {SeedTime: 30},
		"time":         {SeedTime: 30, Seed: Seeding{Until: UntilTime, Limit: 5}},
		"a later word": {SeedTime: 30, Seed: Seeding{Until: "sunrise", Limit: 5}},
	} {
		if got, want := d.Leaving(), (Seeding{Until: UntilTime, Limit: 30}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestSeedingAndLimitsAreKept(t *testing.T) {
	want := Catalog{
		Version: Version, Limits: Limits{Upload: 1 << 40, Download: 5},
		Defaults: Defaults{SeedTime: 30, Seed: Seeding{Until: UntilRatio, Ratio: 1.5, Limit: 60}},
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Defaults != want.Defaults || got.Limits != want.Limits || got.Defaults.Leaving() != want.Defaults.Seed {
		t.Errorf("%+v, %+v", got.Defaults, got.Limits)
	}
	for _, bad := range []Catalog{
		{Version: Version, Limits: Limits{Upload: -1}}, {Version: Version, Limits: Limits{Download: -1}},
		{Version: Version, Defaults: Defaults{Seed: Seeding{Limit: -1}}}, {Version: Version, Defaults: Defaults{Seed: Seeding{Ratio: -1}}},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}
