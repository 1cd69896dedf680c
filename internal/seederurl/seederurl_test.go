package seederurl

import "testing"

func TestBase(t *testing.T) {
	for said, want := range map[string]string{
		"10.0.0.1":                        "http://10.0.0.1:8080",
		"10.0.0.1:80":                     "http://10.0.0.1:80",
		"seeder.lab":                      "http://seeder.lab:8080",
		"http://10.0.0.1":                 "http://10.0.0.1",
		"http://10.0.0.1:8080/":           "http://10.0.0.1:8080",
		"https://seeder/boot/boot.ipxe?x": "https://seeder",
		"fd00::1":                         "http://[fd00::1]:8080",
		"HTTP://10.0.0.1":                 "http://10.0.0.1",
		"http://[fd00::1]":                "http://[fd00::1]",
		"fe80::1%eth0":                    "http://[fe80::1%25eth0]:8080",
		"http://[fe80::1%25eth0]:80/":     "http://[fe80::1%25eth0]:80",
		"séeder":                          "http://s%C3%A9eder:8080",
		"::0%\x00":                        "", "http://[::1%25%00]": "", "http://a%20b": "", "http://\xff": "", "http://a:b:c": "", "::1%a b": "",
		"": "", "ftp://x": "", "http://": "", "http://x:0": "", "http://x:99999": "", "a b": "", "http://u:p@x": "",
	} {
		got, err := Base(said)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Base(%q) = %q, %v; want %q", said, got, err, want)
		}
	}
}

func FuzzBase(f *testing.F) {
	f.Add("http://10.0.0.1:8080/boot/boot.ipxe")
	f.Add("[::1]:80")
	f.Fuzz(func(t *testing.T, said string) {
		base, err := Base(said)
		if err != nil {
			return
		}
		if again, err := Base(base); err != nil || again != base {
			t.Errorf("Base(%q) = %q, and of that %q, %v", said, base, again, err)
		}
	})
}
