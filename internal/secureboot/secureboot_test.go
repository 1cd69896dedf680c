package secureboot

import (
	"errors"
	"strings"
	"testing"
)

const debianID, siteID = "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1", "0102030405060708090a0b0c0d0e0f1011121314"

var (
	debian = Signature{Signer: "Debian Secure Boot Signer 2022 - linux", Issuer: "Debian Secure Boot CA", Keys: []string{"aa", debianID}}
	own    = Signature{Signer: "lab", Keys: []string{siteID}}
)

func TestRefuses(t *testing.T) {
	locked := State{SecureBoot: true, Locked: true, KeysKnown: true, Trusted: []Key{{"Debian Secure Boot CA", debianID}}}
	changed := debian
	changed.Broken = "the file was changed after it was signed"
	for _, c := range []struct {
		name  string
		state State
		file  *File
		want  string // "": it does not; "unknown": ErrUnknown
	}{
		{"nothing is locked", State{}, &File{}, ""},
		{"trusted", locked, &File{By: []Signature{debian}}, ""},
		{"not signed", locked, &File{}, "Secure Boot is on, and its kernel is not signed"},
		{"not signed, and locked down by hand", State{Locked: true}, &File{}, "the kernel is locked down, and its kernel is not signed"},
		{"keys that can't be read", State{Locked: true}, &File{By: []Signature{own}}, "unknown"},
		{"another key", locked, &File{By: []Signature{own}}, "not signed by a key that the machine trusts (signed by: lab)"},
		{"another key, with an issuer", State{Locked: true, KeysKnown: true}, &File{By: []Signature{debian}}, "(signed by: Debian Secure Boot Signer 2022 - linux, of Debian Secure Boot CA)"},
		{"changed", locked, &File{By: []Signature{changed}}, "was changed after it was signed"},
		{"Linux reads the first signature alone", locked, &File{By: []Signature{own, debian}}, "(signed by: lab)"},
		{"so others don't matter", locked, &File{By: []Signature{debian, own}}, ""},
		{"an old catalog", locked, nil, "unknown"},
		{"a certificate that is not in the signature", locked, &File{By: []Signature{{Issuer: "Debian Secure Boot CA"}}}, "unknown"},
		{"no kexec_file_load", State{Locked: true, NoKexecFile: true}, &File{By: []Signature{debian}}, "starts none"},
		{"no kexec_file_load, and nothing locked", State{NoKexecFile: true}, &File{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.state.Refuses(c.file)
			var refusal *Refusal
			switch {
			case c.want == "" && err != nil, c.want == "unknown" && !errors.Is(err, ErrUnknown):
				t.Errorf("it says: %v", err)
			case c.want != "" && c.want != "unknown" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Why, c.want) || refusal.Do == ""):
				t.Errorf("it says: %v, want a refusal with %q", err, c.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	good := &File{By: []Signature{debian, own}}
	if err := errors.Join(good.Validate(), (*File)(nil).Validate(), (&File{}).Validate()); err != nil {
		t.Error(err)
	}
	for name, s := range map[string]Signature{
		"an escape sequence": {Signer: "\x1b[2J"},
		"no UTF-8":           {Issuer: "a\xff"},
		"a long name":        {Signer: strings.Repeat("n", MaxName+1)},
		"a long reason":      {Broken: strings.Repeat("n", MaxName+1)},
		"an empty key":       {Keys: []string{""}},
		"capitals":           {Keys: []string{"AB"}},
		"no hexadecimal":     {Keys: []string{"xy"}},
		"a long key":         {Keys: []string{strings.Repeat("ab", MaxKey/2+1)}},
		"many keys":          {Keys: []string{"01", "02", "03", "04", "05"}},
	} {
		if err := (&File{By: []Signature{debian, s}}).Validate(); err == nil {
			t.Errorf("%s is valid", name)
		}
	}
	if err := (&File{By: []Signature{debian, debian, debian, debian}}).Validate(); err == nil {
		t.Error("four signatures are valid")
	}
}
