package netcfg

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Applying a difference gives what was wanted, and a second time gives nothing.
func TestDiffArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOf(rapid.IntRange(0, 8))
		have, want := numbers.Draw(t, "have"), numbers.Draw(t, "want")
		add, del := Diff(have, want)
		got := slices.DeleteFunc(slices.Clone(have), func(n int) bool { return slices.Contains(del, n) })
		got = append(got, add...)
		if add, del = Diff(got, want); len(add)+len(del) != 0 {
			t.Fatalf("still to add %v, to delete %v", add, del)
		}
	})
}

func TestLinkConfigEqualIgnoresOrder(t *testing.T) {
	a := Addr{Prefix: netip.MustParsePrefix("10.0.0.1/8")}
	b := Addr{Prefix: netip.MustParsePrefix("10.0.0.2/8")}
	one := LinkConfig{Addrs: []Addr{a, b}}
	if !one.Equal(LinkConfig{Addrs: []Addr{b, a}}) {
		t.Error("same addresses in another order differ")
	}
	if one.Equal(LinkConfig{Addrs: []Addr{a}}) {
		t.Error("an address less is equal")
	}
	if one.Equal(LinkConfig{Addrs: []Addr{a, b}, MTU: 1400}) {
		t.Error("another MTU is equal")
	}
}

func TestRouteIsDefault(t *testing.T) {
	for dst, want := range map[string]bool{"0.0.0.0/0": true, "::/0": true, "10.0.0.0/8": false} {
		if got := (Route{Dst: netip.MustParsePrefix(dst)}).IsDefault(); got != want {
			t.Errorf("%s: IsDefault is %v", dst, got)
		}
	}
	if (Route{}).IsDefault() {
		t.Error("a route without destination is a default route")
	}
}
