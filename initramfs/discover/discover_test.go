package discover

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

func TestCandidates(t *testing.T) {
	server := netip.MustParseAddr("10.0.0.1")
	for _, tt := range []struct {
		name  string
		cmd   string
		img   string
		lease network.Lease
		want  []string
	}{
		{"nobody says", "", "", network.Lease{}, nil},
		{"all say", "http://10.0.0.9:80", "http://10.0.0.8:8080",
			network.Lease{Server: server, NextServer: netip.MustParseAddr("10.0.0.7"), BootFile: "http://10.0.0.6:81/boot/boot.ipxe"},
			[]string{
				"http://10.0.0.9:80 (bt.seeder= on the kernel command line)",
				"http://10.0.0.8:8080 (built into this image)",
				"http://10.0.0.6:81 (DHCP's boot file)",
				"http://10.0.0.7:8080 (DHCP's next server)",
			}},
		{"all say the same", "10.0.0.1", "http://10.0.0.1:8080/",
			network.Lease{Server: server, NextServer: server, BootFile: "http://10.0.0.1:8080"},
			[]string{"http://10.0.0.1:8080 (bt.seeder= on the kernel command line)"}},
		{"a boot file that is no URL", "", "", network.Lease{Server: server, NextServer: server, BootFile: "undionly.kpxe"},
			[]string{"http://10.0.0.1:8080 (DHCP's next server)"}},
		{"a boot server in ip=", "", "", network.Lease{NextServer: server},
			[]string{"http://10.0.0.1:8080 (the boot server in ip= on the kernel command line)"}},
		{"nonsense is kept, to be told", "ftp://x", "", network.Lease{},
			[]string{"ftp://x (bt.seeder= on the kernel command line)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range Candidates(config.Cmdline{Seeder: tt.cmd}, sitepart.Config{Seeder: tt.img}, tt.lease) {
				got = append(got, c.URL+" ("+c.From+")")
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
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
	for _, want := range []string{"nonsense (a): is no address", "http://10.0.0.3:8080 (d): connection refused", "seeder serve", "bt.seeder="} {
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
