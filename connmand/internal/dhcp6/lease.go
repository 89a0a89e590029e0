package dhcp6

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
	"net.connman/pkg/netcfg"
)

const (
	infinite    = math.MaxUint32 // seconds that mean for ever
	minLifetime = 10             // seconds; shorter leases are taken as this

	maxServers  = 8 // of each kind that are kept
	maxDomains  = 32
	maxWarnings = 16 // a server does not fill the log
)

// lease is what a server gave. Times are those of the loop.
type lease struct {
	server core.DUID
	leased []leased
	config core.Lease6 // without addresses and prefixes
	renew  time.Time   // T1; zero: never
	rebind time.Time   // T2; zero: never
	raw    []byte      // the last Reply
	asked  time.Time   // when that was asked for
}

// leased is a binding until its times are over; zero is never.
type leased struct {
	binding
	preferred, valid time.Time
	deprecated       bool // the preferred time is over
}

// bindings are what the lease gives, without the times.
func (l *lease) bindings() []binding {
	var list []binding
	for _, b := range l.leased {
		list = append(list, b.binding)
	}
	return list
}

func (l *lease) hasAddress(a netip.Addr) bool {
	return slices.Contains(l.bindings(), addressBinding(a))
}

// nextEnd is when the next of the times is over; zero is never.
func (l *lease) nextEnd() (at time.Time) {
	for _, b := range l.leased {
		at = earliest(at, b.valid)
		if !b.deprecated {
			at = earliest(at, b.preferred)
		}
	}
	return at
}

// age takes away the bindings that are over, notes those that are deprecated
// and reports whether that was anything.
func (l *lease) age(now time.Time) (changed bool) {
	before := len(l.leased)
	l.leased = slices.DeleteFunc(l.leased, func(b leased) bool { return due(b.valid, now) })
	changed = len(l.leased) < before
	for i := range l.leased {
		if b := &l.leased[i]; !b.deprecated && due(b.preferred, now) {
			b.deprecated, changed = true, true
		}
	}
	return changed
}

// update notes what associations, asked for at a moment, say. Bindings that
// they do not name stay as they were (RFC 8415, 18.2.10.1). All are renewed
// together, when the first is to be.
func (l *lease) update(list []association, asked time.Time) {
	l.renew, l.rebind = time.Time{}, time.Time{}
	for _, a := range list {
		shortest := uint32(infinite)
		for _, g := range a.given {
			l.leased = slices.DeleteFunc(l.leased, func(old leased) bool { return old.binding == g.binding })
			if g.valid == 0 {
				continue
			}
			shortest = min(shortest, g.preferred)
			l.leased = append(l.leased, leased{
				binding:   g.binding,
				preferred: after(asked, g.preferred),
				valid:     after(asked, max(g.valid, minLifetime)),
			})
		}
		t1, t2 := a.times(shortest)
		l.renew, l.rebind = earliest(l.renew, after(asked, t1)), earliest(l.rebind, after(asked, t2))
	}
}

// times are T1 and T2. Those that the server leaves to the client follow the
// shortest preferred lifetime.
func (a association) times(shortest uint32) (t1, t2 uint32) {
	t1, t2 = a.t1, a.t2
	if t1 == 0 {
		t1 = fraction(shortest, 5)
	}
	if t2 == 0 {
		t2 = fraction(shortest, 8)
	}
	t1 = max(t1, minLifetime/2)
	return t1, max(t1, t2)
}

// fraction is so many tenths of some seconds.
func fraction(seconds, tenths uint32) uint32 {
	if seconds == infinite {
		return infinite
	}
	return uint32(uint64(seconds) * uint64(tenths) / 10)
}

// after is a moment some seconds after another; for ever is zero.
func after(from time.Time, seconds uint32) time.Time {
	if seconds == infinite {
		return time.Time{}
	}
	return from.Add(time.Duration(seconds) * time.Second)
}

// report is the lease as it is told to the client's user.
func (l *lease) report(now time.Time) core.Lease6 {
	c := l.config
	for _, b := range l.leased {
		preferred, valid := left(b.preferred, now), max(left(b.valid, now), time.Second)
		if b.delegated {
			c.Prefixes = append(c.Prefixes, core.DelegatedPrefix{Prefix: b.prefix, Preferred: preferred, Valid: valid})
		} else {
			c.Addresses = append(c.Addresses, core.LeasedAddress{Address: b.prefix.Addr(), Preferred: preferred, Valid: valid})
		}
	}
	return c
}

func left(until, now time.Time) time.Duration {
	if until.IsZero() {
		return core.Forever
	}
	return max(until.Sub(now), 0)
}

// stored is what goes into a file, nil of no lease.
func (l *lease) stored() *leasefile.Lease {
	if l == nil {
		return nil
	}
	return &leasefile.Lease{Asked: l.asked, Reply: l.raw}
}

// restore makes a lease of what a file holds, or says why it does not hold any
// more. Where addresses are wanted, this one must be among them.
func restore(s leasefile.Lease, id identity, wants wishes, address netip.Addr, zone string, now time.Time) (*lease, error) {
	r, err := parseReply(s.Reply)
	if err != nil {
		return nil, err
	}
	list, _ := r.grants(id.iaid, wants)
	if len(list) == 0 || r.kind != response || r.client != id.duid {
		return nil, errors.New("not a lease of this link")
	}
	l := &lease{server: r.server, raw: r.raw, asked: s.Asked}
	l.update(list, s.Asked)
	l.age(now)
	switch {
	case len(l.leased) == 0:
		return nil, errors.New("expired")
	case wants.addresses && !l.hasAddress(address):
		return nil, fmt.Errorf("%s is not in it or has expired", address)
	}
	l.config, _ = leaseConfig(r.options, zone)
	return l, nil
}

// leaseConfig reads what a message says besides addresses. Options that make
// no sense are left out and named in warnings. zone is the link's, for servers
// with link-local addresses.
func leaseConfig(o options, zone string) (c core.Lease6, warnings []error) {
	r := optionReader{options: o}
	for _, a := range r.addresses(optDNS) {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(zone)
		}
		c.DNS.Servers = append(c.DNS.Servers, a)
	}
	c.DNS.Domains = r.domains(optDomains)
	c.Timeservers = r.timeservers()
	c.Portal = r.portal()
	return c, r.warnings
}

// optionReader reads options and collects what is wrong with them.
type optionReader struct {
	options  options
	warnings []error
}

func (r *optionReader) refuse(c code, format string, args ...any) {
	if len(r.warnings) < maxWarnings {
		r.warnings = append(r.warnings, fmt.Errorf("option %d: "+format, append([]any{c}, args...)...))
	}
}

// addresses reads a list of hosts, each once.
func (r *optionReader) addresses(c code) []netip.Addr {
	v, _ := r.options.get(c)
	if len(v)%16 != 0 {
		r.refuse(c, "addresses of %d bytes", len(v))
		return nil
	}
	var list []netip.Addr
	for ; len(v) > 0 && len(list) < maxServers; v = v[16:] {
		switch a := netip.AddrFrom16([16]byte(v)); {
		case !unicast(a):
			r.refuse(c, "address %s", a)
		case !slices.Contains(list, a):
			list = append(list, a)
		}
	}
	return list
}

func (r *optionReader) domains(c code) []string {
	v, _ := r.options.get(c)
	list, err := parseNames(v)
	if err != nil {
		r.refuse(c, "%w", err)
		return nil
	}
	var domains []string
	for _, name := range list {
		switch {
		case !netcfg.ValidName(name):
			r.refuse(c, "%d bytes that are no domain name", len(name))
		case len(domains) < maxDomains && !slices.Contains(domains, name):
			domains = append(domains, name)
		}
	}
	return domains
}

// parseNames reads names of labels, which are never compressed here (RFC 8415,
// 10).
func parseNames(v []byte) ([]string, error) {
	const maxLabel = 63
	var names, labels []string
	for len(v) > 0 {
		n := int(v[0])
		if v = v[1:]; n == 0 {
			names = append(names, strings.Join(labels, "."))
			labels = nil
			continue
		}
		if n > maxLabel || n > len(v) {
			return nil, fmt.Errorf("label of %d bytes has %d", n, len(v))
		}
		labels = append(labels, string(v[:n]))
		v = v[n:]
	}
	if labels != nil {
		return nil, fmt.Errorf("name without end")
	}
	return names, nil
}

// timeservers reads those for NTP, which may be names, and then those for
// SNTP.
func (r *optionReader) timeservers() []string {
	var list []string
	add := func(s string) {
		if len(list) < maxServers && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	for _, o := range r.options {
		if o.code != optNTP {
			continue
		}
		inner, err := parseOptions(o.value)
		if err != nil {
			r.refuse(optNTP, "%w", err)
			continue
		}
		nested := optionReader{options: inner}
		for _, a := range nested.addresses(ntpAddress) {
			add(a.String())
		}
		for _, name := range nested.domains(ntpName) {
			add(name)
		}
		for _, err := range nested.warnings {
			r.refuse(optNTP, "%w", err)
		}
	}
	for _, a := range r.addresses(optSNTP) {
		add(a.String())
	}
	return list
}

func (r *optionReader) portal() string {
	v, _ := r.options.get(optPortal)
	switch s := string(v); {
	case s == "":
		return ""
	case !netcfg.ValidURL(s):
		r.refuse(optPortal, "%d bytes that are no web address", len(s))
		return ""
	default:
		return s
	}
}
