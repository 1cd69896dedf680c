package discover

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

func lines(candidates []Candidate) (all []string) {
	for _, c := range candidates {
		all = append(all, c.URL+" ("+c.From+")")
	}
	return all
}

// What a person types counts first, then the kernel command line, the medium, the image.
func TestNamed(t *testing.T) {
	for _, tt := range []struct {
		name, typed, cmd, conf, img string
		want                        []string
	}{
		{"nobody says", "", "", "", "", nil},
		{"all say", "10.0.0.6", "http://10.0.0.9:80", "http://10.0.0.7:8080", "http://10.0.0.8:8080", []string{
			"http://10.0.0.6:8080 (typed at the console)",
			"http://10.0.0.9:80 (bt.seeder= on the kernel command line)",
			"http://10.0.0.7:8080 (seeder: in boottorrent.conf)",
			"http://10.0.0.8:8080 (built into this image)",
		}},
		{"all say the same", "", "10.0.0.1", "http://10.0.0.1:8080", "http://10.0.0.1:8080/",
			[]string{"http://10.0.0.1:8080 (bt.seeder= on the kernel command line)"}},
		{"nonsense is kept, to be told", "", "ftp://x", "", "", []string{"ftp://x (bt.seeder= on the kernel command line)"}},
	} {
		got := lines(Named(tt.typed, config.Cmdline{Seeder: tt.cmd, ConfSeeder: tt.conf}, sitepart.Config{Seeder: tt.img}))
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got  %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestTold(t *testing.T) {
	server := netip.MustParseAddr("10.0.0.1")
	for _, tt := range []struct {
		name    string
		answers []string
		lease   network.Lease
		want    []string
	}{
		{"nobody", nil, network.Lease{}, nil},
		{"two seeders", []string{"http://10.0.0.1:8080", "http://10.0.0.2:8080"},
			network.Lease{Server: server, NextServer: netip.MustParseAddr("10.0.0.7"), BootFile: "http://10.0.0.2:8080"},
			[]string{"http://10.0.0.1:8080 (DHCP)", "http://10.0.0.2:8080 (DHCP)"}},
		{"with the lease only", nil, network.Lease{Server: server, NextServer: server, BootFile: "http://10.0.0.6:81/boot/boot.ipxe"},
			[]string{"http://10.0.0.6:81 (DHCP's boot file)"}},
		{"a boot file that is no URL", nil, network.Lease{Server: server, NextServer: server, BootFile: "undionly.kpxe"},
			[]string{"http://10.0.0.1:8080 (DHCP's next server)"}},
		{"a boot server in ip=", nil, network.Lease{NextServer: server},
			[]string{"http://10.0.0.1:8080 (the boot server in ip= on the kernel command line)"}},
	} {
		if got := lines(Told(tt.answers, tt.lease)); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got  %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// All are asked at once, and those that answer keep their order.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dark := errors.New("dark")
		began := time.Now()
		tried := All(t.Context(), []Candidate{{URL: "slow"}, {URL: "dark"}, {URL: "bad", Err: dark}, {URL: "quick"}, {URL: "hangs"}},
			func(ctx context.Context, base string) error {
				switch base {
				case "slow":
					time.Sleep(4 * time.Second)
				case "dark":
					return dark
				case "hangs":
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			})
		answering := Answering(tried)
		if len(tried) != 5 || len(answering) != 2 || answering[0].URL != "slow" || answering[1].URL != "quick" {
			t.Errorf("of %v answer %v", tried, answering)
		}
		if took := time.Since(began); took > probeTimeout {
			t.Errorf("they were asked for %s", took)
		}
	})
}

func TestFind(t *testing.T) {
	errRefused := errors.New("connection refused")
	candidates := []Candidate{
		{From: "a", URL: "nonsense", Err: errors.New("is no address")},
		{From: "b", URL: "http://10.0.0.1:8080"},
		{From: "c", URL: "http://10.0.0.2:8080"},
		{From: "d", URL: "http://10.0.0.3:8080"},
	}
	answering := func(_ context.Context, base string) error {
		if base == "http://10.0.0.2:8080" {
			return nil
		}
		return errRefused
	}
	base, tried, err := Find(t.Context(), candidates, answering)
	if err != nil || base != "http://10.0.0.2:8080" || len(tried) != 3 {
		t.Fatalf("Find = %q, %v, %v", base, tried, err)
	}
	if s := tried[2].String(); s != "http://10.0.0.2:8080 (c): answers" {
		t.Errorf("the last attempt prints as %q", s)
	}

	_, tried, err = Find(t.Context(), candidates, func(context.Context, string) error { return errRefused })
	if err == nil || len(tried) != 4 || !errors.Is(err, errRefused) {
		t.Fatalf("nobody answers: %v, %v", tried, err)
	}
	for _, want := range []string{"nonsense (a): is no address", "http://10.0.0.3:8080 (d): connection refused", "seeder serve", "type another address"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}

	if _, _, err = Find(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "nobody says where the seeder is") {
		t.Errorf("no candidates: %v", err)
	}
}

// A seeder that takes the connection and never answers costs its share of the time, not all of it.
func TestFindGoesOnWhenOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, tried, err := Find(t.Context(), []Candidate{{From: "a", URL: "hangs"}, {From: "b", URL: "answers"}},
			func(ctx context.Context, base string) error {
				if base == "answers" {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			})
		if base != "answers" || err != nil || !strings.Contains(tried[0].String(), "no answer within 5s") {
			t.Errorf("Find = %q, %v, %v", base, tried, err)
		}
	})
}
