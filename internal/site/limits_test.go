package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]int64{
		"100 Mbit/s": 12_500_000, "100Mbit": 12_500_000, "1.5 Gbit/s": 187_500_000, "512 kbit/s": 64_000,
		"12 MB/s": 12_000_000, "64 KiB/s": 65_536, "1 GiB/s": 1 << 30, "700 kB/s": 700_000,
	} {
		if got, ok := parseRate(text); !ok || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "100", "Mbit", "-1 MB/s", "1e3 MB", "10 mb/s", "10 Mb/s", "10  MB", "10 MB/h", "9999999999999 GB"} {
		if got, ok := parseRate(text); ok {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

// A site says when nodes leave and what they may take; one that says nothing has the rules of old.
func TestSeedingAndLimits(t *testing.T) {
	const limits = "limits: {seeder: {upload: 900 Mbit/s}, node: {upload: 10 MB/s, download: 20 MB/s}}\n"
	for name, c := range map[string]struct {
		config string
		want   catalog.Defaults
		limits Limits
	}{
		"nothing": {"", catalog.Defaults{Timeout: 10, SeedTime: 30}, Limits{}},
		"time":    {"seed: {until: time, limit: 5}\n", catalog.Defaults{Timeout: 10, SeedTime: 30}, Limits{}},
		"swarm": {"seed: {until: swarm, ratio: 3}\n" + limits,
			catalog.Defaults{Timeout: 10, SeedTime: 30, Seed: catalog.Seeding{Until: "swarm", Limit: 300}},
			Limits{Seeder: 112_500_000, Node: catalog.Limits{Upload: 10_000_000, Download: 20_000_000}}},
		"ratio": {"seed_time: 7\nseed: {until: ratio, ratio: 1.5, limit: 60}\n",
			catalog.Defaults{Timeout: 10, SeedTime: 7, Seed: catalog.Seeding{Until: "ratio", Ratio: 1.5, Limit: 60}}, Limits{}},
		"after the start":  {"seed: {after_start: true}\n", catalog.Defaults{Timeout: 10, SeedTime: 30}, Limits{}},
		"not after":        {"seed: {after_start: false}\n", catalog.Defaults{Timeout: 10, SeedTime: 30, LeaveAtStart: true}, Limits{}},
		"time, not after":  {"seed: {after_start: false, until: time}\n", catalog.Defaults{Timeout: 10, SeedTime: 30, LeaveAtStart: true}, Limits{}},
		"swarm, not after": {"seed: {until: swarm, after_start: false}\n", catalog.Defaults{Timeout: 10, SeedTime: 30, Seed: catalog.Seeding{Until: "swarm", Limit: 300}, LeaveAtStart: true}, Limits{}},
		"ratio, not after": {"seed: {until: ratio, limit: 9, after_start: false}\n", catalog.Defaults{Timeout: 10, SeedTime: 30, Seed: catalog.Seeding{Until: "ratio", Ratio: 1, Limit: 9}, LeaveAtStart: true}, Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := initSite(t, "")
			if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte("version: 1\n"+c.config), 0o644); err != nil {
				t.Fatal(err)
			}
			s, problems := Load(dir)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if s.Defaults != c.want || s.Limits != c.limits {
				t.Errorf("%+v, %+v; want %+v, %+v", s.Defaults, s.Limits, c.want, c.limits)
			}
		})
	}
}

// A share of the memory is a percentage, or a size with its unit; what is none of both is a problem.
func TestShare(t *testing.T) {
	for text, want := range map[string]catalog.Share{
		`50%`: {Percent: 50}, `"1 %"`: {Percent: 1}, `90%`: {Percent: 90}, `2 GiB`: {Bytes: 2 << 30}, `1.5GB`: {Bytes: 1_500_000_000}, `""`: {}, ``: {},
		`0%`: {}, `-5%`: {}, `91%`: {}, `5.5%`: {}, `2 gib`: {}, `GiB`: {}, `1 kB`: {}, `9999999999 GB`: {}, `5 Mbit`: {}, `[1]`: {}, `true`: {},
	} {
		c := &checker{}
		m := parseDocument(c, "config.yaml", []byte("limit: "+text+"\n"))
		wrong := want == catalog.Share{} && text != "" && text != `""`
		if got := m.share("limit"); got != want || wrong != (len(c.problems) == 1) {
			t.Errorf("%s is %+v, want %+v; problems: %v", text, got, want, c.problems)
		}
	}
}
