package busapi

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
)

// What agents are asked, as agent-api of the C implementation has it.
func TestInputDict(t *testing.T) {
	got := inputDict([]core.InputField{
		{Name: "Passphrase", Type: "psk", Requirement: "mandatory", Alternates: []string{"WPS"}},
		{Name: "PreviousPassphrase", Type: "psk", Requirement: "informational", Value: "secret123"},
	})
	want := bus.Dict{
		{Key: "Passphrase", Value: bus.Dict{
			{Key: "Type", Value: "psk"}, {Key: "Requirement", Value: "mandatory"}, {Key: "Alternates", Value: []string{"WPS"}}}},
		{Key: "PreviousPassphrase", Value: bus.Dict{
			{Key: "Type", Value: "psk"}, {Key: "Requirement", Value: "informational"}, {Key: "Value", Value: "secret123"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseInput(t *testing.T) {
	secret := func(s string) core.Input {
		return core.Input{Credentials: core.Credentials{Passphrase: logx.Secret(s)}}
	}
	for name, c := range map[string]struct {
		answer bus.Dict
		want   core.Input
		err    error
	}{
		"nothing":      {},
		"passphrase":   {answer: bus.Dict{{Key: "Passphrase", Value: "x"}}, want: secret("x")},
		"not a text":   {answer: bus.Dict{{Key: "Passphrase", Value: int32(1)}}, err: core.ErrInvalidArguments},
		"unasked":      {answer: bus.Dict{{Key: "Colour", Value: int32(1)}}},
		"name":         {answer: bus.Dict{{Key: "Name", Value: "n"}}, want: core.Input{SSID: "n"}},
		"SSID":         {answer: bus.Dict{{Key: "SSID", Value: []byte{0, 255}}}, want: core.Input{SSID: "\x00\xff"}},
		"SSID as text": {answer: bus.Dict{{Key: "SSID", Value: "n"}}, err: core.ErrInvalidArguments},
		"identity":     {answer: bus.Dict{{Key: "Identity", Value: "me"}}, want: core.Input{Credentials: core.Credentials{Identity: "me"}}},
		"button":       {answer: bus.Dict{{Key: "WPS", Value: ""}}, want: core.Input{Credentials: core.Credentials{WPS: true}}},
		"PIN":          {answer: bus.Dict{{Key: "WPS", Value: "12345670"}}, want: core.Input{Credentials: core.Credentials{WPS: true, PIN: "12345670"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseInput(c.answer)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

// FuzzParseInput gives fields any text.
func FuzzParseInput(f *testing.F) {
	f.Add("Passphrase", "x", false)
	f.Add("SSID", "\x00", true)
	f.Add("WPS", "", false)
	f.Fuzz(func(t *testing.T, key, value string, raw bool) {
		d := bus.Dict{{Key: key, Value: value}}
		if raw {
			d[0].Value = []byte(value)
		}
		in, err := parseInput(d)
		if err != nil && in != (core.Input{}) {
			t.Error("half an answer is used")
		}
	})
}
