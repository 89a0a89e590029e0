package link

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/fake"
	"net.connman/pkg/netcfg"
)

// withEth runs test with a house that has one link.
func withEth(t *testing.T, test func(h *house, l kernel.Link)) {
	t.Helper()
	var l kernel.Link
	bubble(t, func(k *fake.Kernel) { l = eth(k, "eth0") }, func(h *house) { test(h, l) })
}

// setIPv6 sets the mode and returns the outcome.
func (h *house) setIPv6(index int, want netcfg.IPv6Link) (err error) {
	h.t.Helper()
	answered := false
	h.on(func() { h.table.SetIPv6(index, want, func(e error) { err, answered = e, true }) })
	if !answered {
		h.t.Fatal("no answer")
	}
	return err
}

// settings are the IPv6 settings of a link, in short.
func (h *house) settings(link string) string {
	var texts []string
	for _, key := range []string{acceptRA, autoconf, useTempAddr, disableIPv6, mtu, hopLimit} {
		value, err := h.k.Sysctl(kernel.IPv6, link, key)
		if err != nil {
			h.t.Fatal(err)
		}
		texts = append(texts, value)
	}
	return strings.Join(texts, " ")
}

func TestIPv6Modes(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		for _, step := range []struct {
			want netcfg.IPv6Link
			has  string // accept_ra, autoconf, use_tempaddr, disable_ipv6, mtu, hop_limit
		}{
			{netcfg.IPv6Link{Mode: netcfg.IPv6Quiet}, "0 0 0 0 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Ours}, "0 0 0 0 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Temporary, MTU: 1400, HopLimit: 33}, "0 0 1 0 1400 33"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6PreferTemporary, MTU: 9000}, "0 0 2 0 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Ours, MTU: 1000}, "0 0 0 0 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Disabled}, "0 0 0 1 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Kernel}, "1 1 0 0 1500 64"},
			{netcfg.IPv6Link{Mode: netcfg.IPv6Ours}, "0 0 0 0 1500 64"},
		} {
			if err := h.setIPv6(l.Index, step.want); err != nil {
				t.Fatal(err)
			}
			if got := h.settings("eth0"); got != step.has {
				t.Fatalf("%+v gives %s, want %s", step.want, got, step.has)
			}
		}
	})
}

// An earlier run that left its addresses also left its settings: what there was
// before it is what the kernel gives new links.
func TestIPv6SettingsOfAnEarlierRun(t *testing.T) {
	var l kernel.Link
	bubble(t, func(k *fake.Kernel) {
		l = eth(k, "eth0")
		k.Put(kernel.Addr{Index: l.Index, Addr: v6("2001:db8::5/64"), Protocol: kernel.Protocol})
		for _, key := range []string{acceptRA, autoconf} {
			if err := k.SetSysctl(kernel.IPv6, "eth0", key, "0"); err != nil {
				t.Fatal(err)
			}
		}
	}, func(h *house) {
		for _, mode := range []netcfg.IPv6Mode{netcfg.IPv6Quiet, netcfg.IPv6Ours, netcfg.IPv6Kernel} {
			if err := h.setIPv6(l.Index, netcfg.IPv6Link{Mode: mode}); err != nil {
				t.Fatal(err)
			}
		}
		if got := h.settings("eth0"); got != "1 1 0 0 1500 64" {
			t.Errorf("left with %s", got)
		}
	})
}

func TestNoIPv6(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l, all := eth(h.k, "eth0"), eth(h.k, "all")
		h.on(func() {})
		if err := h.k.SetSysctl(kernel.IPv6, "all", disableIPv6, "1"); err != nil {
			t.Fatal(err)
		}
		if err := h.setIPv6(l.Index, netcfg.IPv6Link{Mode: netcfg.IPv6Ours}); err != kernel.ErrNoIPv6 {
			t.Errorf("error %v, want %v", err, kernel.ErrNoIPv6)
		}
		h.k.RemoveLink(all.Index)
		h.on(func() {})
		if err := h.setIPv6(all.Index, netcfg.IPv6Link{Mode: netcfg.IPv6Ours}); err != kernel.ErrNoLink {
			t.Errorf("error %v, want %v", err, kernel.ErrNoLink)
		}
	})
}

// Somebody switches IPv6 off behind our back: IPv4 goes on, the setting is put
// back, and where that is of no use whoever wanted IPv6 hears of it, once.
func TestIPv6SwitchedOffMeanwhile(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		eth(h.k, "all")
		synctest.Wait()
		var heard []error
		h.on(func() {
			h.table.SetIPv6(l.Index, netcfg.IPv6Link{Mode: netcfg.IPv6Ours}, func(err error) { heard = append(heard, err) })
		})
		off := func(link string) {
			if err := h.k.SetSysctl(kernel.IPv6, link, disableIPv6, "1"); err != nil {
				t.Fatal(err)
			}
		}
		disabled := true
		h.k.Fail(func(request string) error {
			switch {
			case request == "set ipv6 disable_ipv6 of eth0 to 0":
				disabled = false
			case disabled && strings.Contains(request, "2001:db8:"):
				return kernel.ErrPermission
			}
			return nil
		})
		want := config("10.0.0.2/24", "10.0.0.1", 5)
		want.Addrs = append(want.Addrs, v6("2001:db8::5/64"))
		off("eth0")
		if err := h.apply(l.Index, want); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastPause)
		synctest.Wait()
		if !h.has(l.Index, "10.0.0.2") || !h.has(l.Index, "2001:db8::5") {
			t.Fatalf("has %v", h.k.Writes())
		}
		off("all")
		off("eth0")
		disabled = true
		want.Addrs[1] = v6("2001:db8:0:1::5/64")
		if err := h.apply(l.Index, want); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * lastPause)
		synctest.Wait()
		if len(heard) != 2 || heard[0] != nil || !errors.Is(heard[1], kernel.ErrNoIPv6) {
			t.Fatalf("heard %v", heard)
		}
		if n := strings.Count(h.log.String(), "cannot configure IPv6"); n != 2 {
			t.Errorf("logged %d times: %s", n, h.log)
		}
	})
}

// has reports whether a link has an address.
func (h *house) has(index int, address string) (found bool) {
	h.on(func() {
		for _, a := range h.table.Observed(index).Addrs {
			found = found || a.Prefix.Addr().String() == address
		}
	})
	return found
}

func v6(prefix string) netcfg.Addr { return netcfg.Addr{Prefix: netip.MustParsePrefix(prefix)} }

func TestAwaitAddress(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		addr := v6("2001:db8::5/64")
		var verdicts []bool
		await := func() (cancel func()) {
			h.on(func() {
				cancel = h.table.AwaitAddress(l.Index, addr.Prefix.Addr(), func(unique bool) { verdicts = append(verdicts, unique) })
			})
			return cancel
		}
		put := func(tentative, duplicate bool) {
			h.k.Put(kernel.Addr{Index: l.Index, Addr: addr, Tentative: tentative, Duplicate: duplicate})
			h.on(func() {})
		}
		await()
		cancel := await()
		put(true, false)
		h.on(cancel)
		if len(verdicts) != 0 {
			t.Fatalf("too early: %v", verdicts)
		}
		put(false, false)
		await() // known already
		put(true, true)
		await()
		if len(verdicts) != 3 || !verdicts[0] || !verdicts[1] || verdicts[2] {
			t.Fatalf("verdicts %v", verdicts)
		}
	})
}

func TestLinkLocal(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		own := func() (a netip.Addr) {
			h.on(func() {}) // what the kernel tells arrives first
			h.on(func() { a = h.table.LinkLocal(l.Index) })
			return a
		}
		h.k.Put(kernel.Addr{Index: l.Index, Addr: v6("2001:db8::5/64")})
		h.k.Put(kernel.Addr{Index: l.Index, Addr: v6("fe80::5/64"), Tentative: true})
		if got := own(); got.IsValid() {
			t.Errorf("%v may not be used yet", got)
		}
		h.k.Put(kernel.Addr{Index: l.Index, Addr: v6("fe80::5/64")})
		if got := own(); got.String() != "fe80::5" {
			t.Errorf("link-local address %v", got)
		}
	})
}

// Deprecating an address is one request, and applying again none.
func TestAddressIsDeprecated(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		addr := v6("2001:db8::5/64")
		want := netcfg.LinkConfig{Addrs: []netcfg.Addr{addr}}
		for _, deprecated := range []bool{false, true, true, false} {
			want.Addrs[0].Deprecated = deprecated
			if err := h.apply(l.Index, want); err != nil {
				t.Fatal(err)
			}
			h.on(func() {
				if got := h.table.Observed(l.Index).Addrs; len(got) != 1 || got[0].Deprecated != deprecated {
					t.Errorf("link has %+v", got)
				}
			})
		}
		if writes := h.k.Writes(); len(writes) != 3 {
			t.Errorf("asked for %v", writes)
		}
	})
}

func TestKeepIPv6(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		old := netcfg.LinkConfig{
			Addrs:  []netcfg.Addr{v6("2001:db8::5/64"), {Prefix: netip.MustParsePrefix("10.0.0.5/24")}},
			Routes: []netcfg.Route{{Dst: netip.MustParsePrefix("2001:db8::/64"), Metric: 256}},
		}
		if err := h.apply(l.Index, old); err != nil {
			t.Fatal(err)
		}
		count := func() (addrs, routes int) {
			h.on(func() { c := h.table.Observed(l.Index); addrs, routes = len(c.Addrs), len(c.Routes) })
			return addrs, routes
		}
		if err := h.apply(l.Index, netcfg.LinkConfig{KeepIPv6: true}); err != nil {
			t.Fatal(err)
		}
		if addrs, routes := count(); addrs != 1 || routes != 1 {
			t.Errorf("%d addresses and %d routes stay, want one of each", addrs, routes)
		}
		if err := h.apply(l.Index, netcfg.LinkConfig{}); err != nil {
			t.Fatal(err)
		}
		if addrs, routes := count(); addrs != 0 || routes != 0 {
			t.Errorf("%d addresses and %d routes stay", addrs, routes)
		}
	})
}

// Two routers change places without a moment in which both, or none, are there.
func TestRoutersChangePlaces(t *testing.T) {
	withEth(t, func(h *house, l kernel.Link) {
		everywhere := netip.MustParsePrefix("::/0")
		a, b := netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("2001:db8::b")
		config := func(first, second netip.Addr) netcfg.LinkConfig {
			return netcfg.LinkConfig{
				Addrs: []netcfg.Addr{v6("2001:db8::5/64")},
				Routes: []netcfg.Route{
					{Dst: everywhere, Gateway: first, Metric: 1056}, {Dst: everywhere, Gateway: second, Metric: 1057},
				},
			}
		}
		if err := h.apply(l.Index, config(a, b)); err != nil {
			t.Fatal(err)
		}
		h.k.Writes()
		if err := h.apply(l.Index, config(b, a)); err != nil {
			t.Fatal(err)
		}
		writes := h.k.Writes()
		if len(writes) != 2 || !strings.HasPrefix(writes[0], "replace") || !strings.HasPrefix(writes[1], "replace") {
			t.Errorf("asked for %v", writes)
		}
		if err := h.apply(l.Index, config(b, a)); err != nil || len(h.k.Writes()) != 0 {
			t.Errorf("applied again: %v", err)
		}
	})
}
