package settings

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
)

// reader reads the keys of one group. What is missing or wrong becomes the zero
// value, and what is wrong a problem.
type reader struct {
	file     *keyfile.File
	group    string
	problems []keyfile.Problem
}

// ok notes what is wrong with a value; a missing one is not wrong.
func (r *reader) ok(err error) bool {
	if p, is := errors.AsType[keyfile.Problem](err); is {
		r.problems = append(r.problems, p)
	}
	return err == nil
}

func (r *reader) wrong(key, format string, args ...any) {
	r.problems = append(r.problems, r.file.Problem(r.group, key, format, args...))
}

func (r *reader) bool(key string) bool {
	v, err := r.file.Bool(r.group, key)
	return r.ok(err) && v
}

func (r *reader) text(key string) string {
	v, err := r.file.String(r.group, key)
	if !r.ok(err) {
		return ""
	}
	return v
}

// number reads a number between least and most; anything else is 0.
func (r *reader) number(key string, least, most int) int {
	v, err := r.file.Int(r.group, key)
	if !r.ok(err) {
		return 0
	}
	if v < least || v > most {
		r.wrong(key, "not between %d and %d", least, most)
		return 0
	}
	return v
}

func (r *reader) choice(key string, choices ...string) string {
	v := r.text(key)
	if v != "" && !slices.Contains(choices, v) {
		r.wrong(key, "none of %s", strings.Join(choices, ", "))
		return ""
	}
	return v
}

func (r *reader) time(key string) time.Time {
	v := r.text(key)
	if v == "" {
		return time.Time{}
	}
	if whole, fraction, found := strings.Cut(v, "."); found && strings.HasSuffix(fraction, "Z") {
		v = whole + "Z" // as old versions wrote it
	}
	t, err := time.ParseInLocation(timeFormat, v, time.Local)
	if err != nil {
		r.wrong(key, "not a time such as %s", timeFormat)
	}
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t
}

// names reads a list of names or URLs, without those that contain white space
// or control characters.
func (r *reader) names(key string) []string {
	return r.list(key, "a name", func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
	})
}

func (r *reader) addresses(key string) []string {
	return r.list(key, "an address", func(s string) bool {
		_, err := netip.ParseAddr(s)
		return err == nil
	})
}

func (r *reader) list(key, what string, good func(string) bool) []string {
	list, err := r.file.List(r.group, key)
	if !r.ok(err) {
		return nil
	}
	var kept []string
	for i, s := range list {
		if good(s) {
			kept = append(kept, s)
		} else {
			r.wrong(key, "entry %d is not %s", i+1, what) // a proxy may hold a password
		}
	}
	return kept
}

// address reads an address of one family; anything else is invalid.
func (r *reader) address(key string, is6 bool) netip.Addr {
	v := r.text(key)
	if v == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(v)
	if err != nil || a.Is6() != is6 || a.Zone() != "" || a.Is4In6() {
		r.wrong(key, "not an address of this family")
		return netip.Addr{}
	}
	return a
}

// static reads a manual address. It is invalid when any of it is wrong.
func (r *reader) static(prefix string, is6 bool) (address netip.Prefix, gateway netip.Addr) {
	local := r.address(prefix+"local_address", is6)
	bits := r.number(prefix+"netmask_prefixlen", 1, 128)
	if !local.IsValid() || bits == 0 || bits > local.BitLen() || local.IsUnspecified() || local.IsMulticast() {
		r.wrong(prefix+"method", "has no valid address, so the default is used")
		return netip.Prefix{}, netip.Addr{}
	}
	return netip.PrefixFrom(local, bits), r.address(prefix+"gateway", is6)
}

func (r *reader) ipv4() core.IPv4Settings {
	s := core.IPv4Settings{
		Method:      core.IPv4Method(r.choice("IPv4.method", "off", "dhcp", "manual", "auto", "fixed")),
		LastAddress: r.address("IPv4.DHCP.LastAddress", false),
	}
	switch s.Method {
	case core.IPv4Auto:
		s.Method = core.IPv4DHCP // link-local only as long as nothing better is there
	case core.IPv4Manual, core.IPv4Fixed:
		s.Address, s.Gateway = r.static("IPv4.", false)
		if !s.Address.IsValid() {
			s.Method = ""
		}
	}
	return s
}

// duid reads an identifier in hexadecimal digits.
func (r *reader) duid() core.DUID {
	const key = "IPv6.DHCP.DUID"
	v := r.text(key)
	if v == "" {
		return ""
	}
	d, err := core.ParseDUID(v)
	if err != nil {
		r.wrong(key, "not a DUID: %v", err)
	}
	return d
}

// ssid reads the name of a wireless network in hexadecimal digits.
func (r *reader) ssid() string {
	const key, most = "SSID", 32
	ssid, err := hex.DecodeString(r.text(key))
	if err != nil || len(ssid) > most {
		r.wrong(key, "not up to %d bytes in hexadecimal digits", most)
		return ""
	}
	return string(ssid)
}

func (r *reader) ipv6() core.IPv6Settings {
	s := core.IPv6Settings{
		Method:  core.IPv6Method(r.choice("IPv6.method", "off", "auto", "manual", "6to4", "fixed")),
		Privacy: core.IPv6Privacy(r.choice("IPv6.privacy", "disabled", "enabled", "prefered", "preferred")),
	}
	if s.Privacy == "preferred" {
		s.Privacy = core.PrivacyPrefered
	}
	if s.Method == core.IPv6Manual || s.Method == core.IPv6Fixed {
		s.Address, s.Gateway = r.static("IPv6.", true)
		if !s.Address.IsValid() {
			s.Method = ""
		}
	}
	return s
}
