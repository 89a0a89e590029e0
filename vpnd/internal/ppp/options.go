package ppp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

// Option is an option of pppd that a setting stands for.
type Option struct {
	Key     string // "PPPD.NoVJ"
	Name    string // "novj"
	Number  bool   // it has a value, a number; else it is there or not
	Level   bool   // it is there or not, but for any number other than 0 too
	Without string // its value if the setting is not there
}

// Common are the options that the settings of both types have.
var Common = []Option{
	{Key: "PPPD.EchoFailure", Name: "lcp-echo-failure", Number: true, Without: "0"},
	{Key: "PPPD.EchoInterval", Name: "lcp-echo-interval", Number: true, Without: "0"},
	{Key: "PPPD.Debug", Name: "debug", Level: true},
	{Key: "PPPD.RefuseEAP", Name: "refuse-eap"},
	{Key: "PPPD.RefusePAP", Name: "refuse-pap"},
	{Key: "PPPD.RefuseCHAP", Name: "refuse-chap"},
	{Key: "PPPD.RefuseMSCHAP", Name: "refuse-mschap"},
	{Key: "PPPD.RefuseMSCHAP2", Name: "refuse-mschap-v2"},
	{Key: "PPPD.NoBSDComp", Name: "nobsdcomp"},
	{Key: "PPPD.NoDeflate", Name: "nodeflate"},
	{Key: "PPPD.NoVJ", Name: "novj"},
}

// Keys declares the settings of options.
func Keys(options []Option) []core.Key {
	var keys []core.Key
	for _, o := range options {
		check := CheckBool
		switch {
		case o.Number:
			check = Within(0, 1<<16)
		case o.Level:
			check = checkLevel
		}
		keys = append(keys, core.Key{Name: o.Key, Check: check})
	}
	return keys
}

func checkLevel(v string) error {
	if CheckBool(v) != nil && Within(0, 1<<16)(v) != nil {
		return errors.New("neither a level nor true nor false")
	}
	return nil
}

// on reports whether an option without a value is to be there.
func (o Option) on(value string) bool {
	level, err := strconv.Atoi(value)
	return IsTrue(value) || o.Level && err == nil && level > 0
}

// CheckBool takes the words that the reference does.
func CheckBool(v string) error {
	if !slices.Contains([]string{"yes", "true", "1", "no", "false", "0"}, strings.ToLower(v)) {
		return errors.New("neither true nor false")
	}
	return nil
}

// IsTrue reports whether CheckBool's v means yes.
func IsTrue(v string) bool { return slices.Contains([]string{"yes", "true", "1"}, strings.ToLower(v)) }

// Within takes numbers from least to most.
func Within(least, most int) func(string) error {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < least || n > most {
			return fmt.Errorf("not a number from %d to %d", least, most)
		}
		return nil
	}
}

// File writes pppd's options: those of a client that leaves routes and name
// servers to others, and reports to the script of the place. more are lines.
func File(options []Option, s core.Settings, user string, password logx.Secret, p child.Place, more ...string) string {
	var b strings.Builder
	line := func(words ...string) {
		for i, w := range words {
			if i > 0 {
				w = quote(w)
			}
			b.WriteString(w + " ")
		}
		b.WriteString("\n")
	}
	for _, word := range []string{"nodetach", "lock", "usepeerdns", "noipdefault", "noauth", "nodefaultroute", "hide-password"} {
		line(word)
	}
	line("logfd", "2")
	line("ipparam", "connman")
	line("name", user)
	line("password", password.Reveal())
	line("ip-up-script", p.Script)
	line("ip-down-script", p.Script)
	for _, variable := range p.Env {
		line("set", variable)
	}
	line("set", "CONNMAN_REASON="+reason)
	for _, o := range options {
		value := s.Text[o.Key]
		if value == "" {
			value = o.Without
		}
		switch {
		case o.Number && value != "":
			line(o.Name, value)
		case !o.Number && o.on(value):
			line(o.Name)
		}
	}
	for _, l := range more {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// quote writes a word as pppd reads it: see "Options Files" in pppd(8). It has no
// control characters: settings were checked.
func quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
