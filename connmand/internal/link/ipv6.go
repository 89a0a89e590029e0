package link

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// ipv6Target is how the kernel is to treat IPv6 on a link.
type ipv6Target struct {
	want   netcfg.IPv6Link
	done   func(error) // of the newest SetIPv6, until it is answered
	lost   func(error) // the same from then on
	dirty  bool        // want is not yet under way
	said   string      // why IPv6 configuration failed, as last logged
	before settings    // those that we changed, as they were
}

// The per-interface settings of the kernel's ip-sysctl document that we change.
const (
	disableIPv6 = "disable_ipv6"
	acceptRA    = "accept_ra"
	autoconf    = "autoconf"
	useTempAddr = "use_tempaddr"
	mtu         = "mtu"
	hopLimit    = "hop_limit"
)

// setting is one per-interface setting and its value.
type setting struct{ key, value string }

// settings are some of them. There is a list for each link, which with so few
// elements is smaller than a map.
type settings []setting

// of returns the value of a setting if it is in the list.
func (l settings) of(key string) (value string, known bool) {
	i := slices.IndexFunc(l, func(s setting) bool { return s.key == key })
	if i < 0 {
		return "", false
	}
	return l[i].value, true
}

// SetIPv6 has the kernel treat IPv6 on a link as want says; the mode IPv6Kernel
// brings back the settings of before the first call. done, which may be nil, is
// called with the outcome, and once more if IPv6 is switched off later, unless
// another SetIPv6 comes before: kernel.ErrNoIPv6 where there is none to be had.
func (t *Table) SetIPv6(index int, want netcfg.IPv6Link, done func(error)) {
	l, ok := t.links[index]
	if !ok {
		t.answer(done, kernel.ErrNoLink)
		return
	}
	l.ipv6.want, l.ipv6.done, l.ipv6.lost, l.ipv6.dirty = want, done, nil, true
	t.work(l)
}

// turnIPv6 writes the settings that the wanted mode has.
func (t *Table) turnIPv6(l *link) {
	done := l.ipv6.done
	l.ipv6.dirty, l.ipv6.done = false, nil
	w := settingsWriter{kernel: t.kernel, link: l.Name, adopted: l.bearsOurs(), before: slices.Clip(l.ipv6.before)}
	wanted := l.ipv6Settings()
	want := l.ipv6.want.Mode
	l.onEnd = done
	l.busy = loop.GoIn(t.requests, "link IPv6", func(context.Context) (settings, error) {
		if want > netcfg.IPv6Disabled {
			if err := w.available(); err != nil {
				return w.before, err
			}
		}
		err := w.write(wanted)
		return w.before, err
	}, func(before settings, err error) {
		l.busy, l.onEnd = nil, nil
		l.ipv6.before = before
		if want == netcfg.IPv6Kernel {
			l.ipv6.before = nil
		}
		l.answerIPv6(done, err)
		t.work(l)
		t.repair(l)
	})
}

// answerIPv6 answers a SetIPv6. One that was answered before only hears of
// errors.
func (l *link) answerIPv6(done func(error), err error) {
	switch lost := l.ipv6.lost; {
	case done != nil:
		if err == nil {
			l.ipv6.lost = done
		}
		done(err)
	case err != nil && lost != nil:
		l.ipv6.lost = nil
		lost(err)
	}
}

// failedIPv6 looks into what the kernel refused: somebody may have switched IPv6
// off behind our back.
func (t *Table) failedIPv6(l *link, err error) {
	if text := err.Error(); text != l.ipv6.said {
		l.ipv6.said = text
		t.log.Warn("cannot configure IPv6", "link", l.Name, "error", err)
	}
	if errors.Is(err, kernel.ErrPermission) && l.ipv6.want.Mode > netcfg.IPv6Disabled {
		l.ipv6.dirty = true
	}
}

// ipv6Settings are the settings that make the link what is wanted, in the order
// in which to write them: routers are not listened to by the time that IPv6
// comes alive.
func (l *link) ipv6Settings() settings {
	ours := func(temporaries string) settings {
		return append(settings{
			{acceptRA, "0"}, {autoconf, "0"}, {useTempAddr, temporaries}, {disableIPv6, "0"},
		}, l.ipv6Numbers()...)
	}
	switch l.ipv6.want.Mode {
	case netcfg.IPv6Quiet:
		return append(settings{{acceptRA, "0"}, {autoconf, "0"}}, l.ipv6Numbers()...)
	case netcfg.IPv6Disabled:
		return settings{{acceptRA, "0"}, {disableIPv6, "1"}}
	case netcfg.IPv6Ours:
		return ours("0")
	case netcfg.IPv6Temporary:
		return ours("1")
	case netcfg.IPv6PreferTemporary:
		return ours("2")
	}
	var back settings
	for _, key := range []string{acceptRA, autoconf, useTempAddr, hopLimit, mtu, disableIPv6} {
		if value, changed := l.ipv6.before.of(key); changed {
			back = append(back, setting{key, value})
		}
	}
	return back
}

// ipv6Numbers are MTU and hop limit, or what they were if we changed them. The
// kernel follows the link's own MTU by itself.
func (l *link) ipv6Numbers() (numbers settings) {
	add := func(key string, value int) {
		if value != 0 {
			numbers = append(numbers, setting{key, strconv.Itoa(value)})
		} else if before, changed := l.ipv6.before.of(key); changed {
			numbers = append(numbers, setting{key, before})
		}
	}
	wantMTU := min(l.ipv6.want.MTU, l.MTU)
	if wantMTU < netcfg.MinIPv6MTU {
		wantMTU = 0
	}
	add(mtu, wantMTU)
	add(hopLimit, l.ipv6.want.HopLimit)
	return numbers
}

// bearsOurs reports whether an earlier run left addresses on the link. Then it
// left its settings, too.
func (l *link) bearsOurs() bool { return slices.ContainsFunc(l.addrs, l.isOurs) }

// settingsWriter changes settings off the loop.
type settingsWriter struct {
	kernel  kernel.Kernel
	link    string
	adopted bool     // what is there may be an earlier run's
	before  settings // what was changed, as it was
}

// available reports whether the kernel has IPv6 and it is not switched off for
// all links. For one link it is we who switch it off and on.
func (w *settingsWriter) available() error {
	all, err := w.kernel.Sysctl(kernel.IPv6, "all", disableIPv6)
	if errors.Is(err, kernel.ErrNotFound) || err == nil && all == "1" {
		return kernel.ErrNoIPv6
	}
	return err
}

func (w *settingsWriter) write(wanted settings) error {
	for _, s := range wanted {
		old, err := w.kernel.Sysctl(kernel.IPv6, w.link, s.key)
		if err != nil {
			return err
		}
		if old == s.value {
			if !w.adopted || s.key == mtu { // the kernel's default for that is no link's
				continue
			}
			if old, err = w.kernel.Sysctl(kernel.IPv6, "default", s.key); err != nil {
				return err
			}
		}
		if _, known := w.before.of(s.key); !known {
			w.before = append(w.before, setting{s.key, old})
		}
		if err := w.kernel.SetSysctl(kernel.IPv6, w.link, s.key, s.value); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the verdict of duplicate address detection (RFC 4862, 5.4).
type await struct {
	link *link
	addr netip.Addr
	done func(usable bool)
}

// AwaitAddress tells on the loop when the kernel knows whether the link's
// address can be used: not if another machine has it. An address that is not on
// the link is waited for.
func (t *Table) AwaitAddress(index int, addr netip.Addr, done func(usable bool)) (cancel func()) {
	l, ok := t.links[index]
	if !ok {
		return func() {}
	}
	a := &await{l, addr, done}
	t.awaits = append(t.awaits, a)
	t.loop.Post("await address", t.answerAwaits)
	return func() { t.awaits = slices.DeleteFunc(t.awaits, func(o *await) bool { return o == a }) }
}

// answerAwaits answers those whose verdict is there. They may ask again.
func (t *Table) answerAwaits() {
	for _, a := range slices.Clone(t.awaits) {
		addrs := a.link.addrs
		i := slices.IndexFunc(addrs, func(h kernel.Addr) bool { return h.Prefix.Addr() == a.addr })
		if i < 0 || addrs[i].Tentative && !addrs[i].Duplicate || !slices.Contains(t.awaits, a) {
			continue
		}
		t.awaits = slices.DeleteFunc(t.awaits, func(o *await) bool { return o == a })
		a.done(!addrs[i].Duplicate)
	}
}

// LinkLocal returns the link's IPv6 link-local address, an invalid one while
// there is none that can be used.
func (t *Table) LinkLocal(index int) netip.Addr {
	if l, ok := t.links[index]; ok {
		for _, a := range l.addrs {
			addr := a.Prefix.Addr()
			if addr.Is6() && addr.IsLinkLocalUnicast() && !a.Tentative && !a.Duplicate {
				return addr
			}
		}
	}
	return netip.Addr{}
}
