package config

import (
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/netcfg"
)

// reader turns keys into values. Its methods named after kinds of values
// return what reads one key into a place, which keeps its default when the key
// is wrong.
type reader struct {
	file     *keyfile.File
	problems []keyfile.Problem
	chosen   map[string]bool // keys of choices that were valid
}

func (r *reader) report(p keyfile.Problem) { r.problems = append(r.problems, p) }

func (r *reader) wrong(key, format string, args ...any) {
	r.report(r.file.Problem(general, key, format, args...))
}

// ok reports a getter's error.
func (r *reader) ok(err error) bool {
	if p, is := errors.AsType[keyfile.Problem](err); is {
		r.report(p)
	}
	return err == nil
}

// text is a string without white space around it.
func (r *reader) text(key string) (string, bool) {
	s, err := r.file.String(general, key)
	return strings.TrimSpace(s), r.ok(err)
}

// list is a list without white space around its elements and without empty
// ones: an empty blacklist entry, for one, would match everything.
func (r *reader) list(key string) ([]string, bool) {
	list, err := r.file.List(general, key)
	if !r.ok(err) {
		return nil, false
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" }), true
}

func (r *reader) strings(to *[]string) func(string) {
	return func(key string) {
		if list, ok := r.list(key); ok {
			*to = list
		}
	}
}

func (r *reader) types(to *[]core.Type) func(string) {
	return func(key string) {
		list, ok := r.list(key)
		if !ok {
			return
		}
		*to = nil
		for _, name := range list {
			t, err := core.ParseType(name)
			switch {
			case err != nil:
				r.wrong(key, "%v", err)
			case !slices.Contains(*to, t):
				*to = append(*to, t)
			}
		}
	}
}

// nameServers takes addresses, behind each of which there may be the name that
// the server's certificate is for.
func (r *reader) nameServers(to *[]string, names *map[netip.Addr]string) func(string) {
	return func(key string) {
		list, ok := r.list(key)
		if !ok {
			return
		}
		*to, *names = nil, nil
		for _, s := range list {
			addr, name, err := netcfg.ParseNameServer(s)
			if err != nil {
				r.wrong(key, "%v", err)
				continue
			}
			*to = append(*to, addr.String())
			if name != "" {
				if *names == nil {
					*names = map[netip.Addr]string{}
				}
				(*names)[addr] = name
			}
		}
	}
}

// bool takes true and 1; all else is false, as the C implementation has it, and
// reported unless it says so.
func (r *reader) bool(to *bool) func(string) {
	return func(key string) { r.looseReport(key, to, true) }
}

func (r *reader) loose(key string, to *bool) {
	if r.file.Has(general, key) {
		r.looseReport(key, to, false)
	}
}

func (r *reader) looseReport(key string, to *bool, report bool) {
	v, err := r.file.Bool(general, key)
	if err != nil && report {
		r.wrong(key, "neither true nor false, taken as false")
	}
	*to = v
}

// strictBool keeps the default when the key is neither true nor false.
func (r *reader) strictBool(to *bool) func(string) {
	return func(key string) {
		if v, err := r.file.Bool(general, key); r.ok(err) {
			*to = v
		}
	}
}

func (r *reader) deprecated(key string) {
	var ignored bool
	r.looseReport(key, &ignored, true)
	r.wrong(key, "deprecated, use OnlineCheckMode")
}

// seconds takes whole seconds, 0 included.
func (r *reader) seconds(to *time.Duration) func(string) {
	return func(key string) {
		n, err := r.file.Int(general, key)
		switch {
		case !r.ok(err):
		case n < 0:
			r.wrong(key, "negative time")
		default:
			*to = time.Duration(n) * time.Second
		}
	}
}

// decimalSeconds takes seconds with decimals, up to a day.
func (r *reader) decimalSeconds(to *time.Duration) func(string) {
	return func(key string) {
		x, err := r.file.Float(general, key)
		switch {
		case !r.ok(err):
		case x < 0 || x > (24*time.Hour).Seconds():
			r.wrong(key, "not between 0 and 86400 seconds")
		default:
			*to = time.Duration(x*1000) * time.Millisecond
		}
	}
}

// count takes whole numbers from 1.
func (r *reader) count(to *int) func(string) {
	return func(key string) {
		n, err := r.file.Int(general, key)
		switch {
		case !r.ok(err):
		case n < 1:
			r.wrong(key, "must be at least 1")
		default:
			*to = n
		}
	}
}

// roaming takes three numbers: seconds, dBm, seconds.
func (r *reader) roaming(to *core.RoamingScan) func(string) {
	return func(key string) {
		list, ok := r.list(key)
		if !ok {
			return
		}
		var n []int
		for _, s := range list {
			if i, err := strconv.Atoi(s); err == nil {
				n = append(n, i)
			}
		}
		const day = 86400
		switch {
		case len(list) != 3 || len(n) != 3:
			r.wrong(key, "not three numbers: seconds while the signal is weak, dBm, seconds while it is not")
		case n[0] < 1 || n[0] > n[2] || n[2] > day:
			r.wrong(key, "not 1 to %d seconds, first the shorter time", day)
		case n[1] < -100 || n[1] > -20:
			r.wrong(key, "not a signal between -100 and -20 dBm")
		default:
			*to = core.RoamingScan{Short: time.Duration(n[0]) * time.Second, Threshold: n[1], Long: time.Duration(n[2]) * time.Second}
		}
	}
}

func (r *reader) choice(to *string, choices ...string) func(string) {
	return func(key string) {
		s, ok := r.text(key)
		switch {
		case !ok:
		case !slices.Contains(choices, s):
			r.wrong(key, "%q is none of %s", s, strings.Join(choices, ", "))
		default:
			*to = s
			if r.chosen == nil {
				r.chosen = make(map[string]bool)
			}
			r.chosen[key] = true
		}
	}
}

func (r *reader) url(to *string) func(string) {
	return func(key string) {
		s, ok := r.text(key)
		if !ok {
			return
		}
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" || u.Host == "" {
			r.wrong(key, "not an http:// URL")
			return
		}
		*to = s
	}
}

func (r *reader) path(to *string) func(string) {
	return func(key string) {
		s, ok := r.text(key)
		switch {
		case !ok:
		case !filepath.IsAbs(s) || strings.Contains(s, "\n"):
			r.wrong(key, "not an absolute path")
		default:
			*to = s
		}
	}
}

// vendorClass takes what fits into a DHCP option.
func (r *reader) vendorClass(to *string) func(string) {
	return func(key string) {
		s, ok := r.text(key)
		switch {
		case !ok:
		case len(s) > 255:
			r.wrong(key, "longer than 255 bytes")
		default:
			*to = s
		}
	}
}
