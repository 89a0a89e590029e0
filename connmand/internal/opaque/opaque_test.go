package opaque

import (
	"net/netip"
	"testing"
)

// The same network gives the same address; whatever else differs, another.
// (RFC 7217, 4)
func TestAddress(t *testing.T) {
	key := Key{"0123456789abcdef0123456789abcdef"}
	home := netip.MustParsePrefix("2001:db8:1::/64")
	other := netip.MustParsePrefix("2001:db8:2::/64")
	first := key.Address(home, "wired", 0)
	if again := key.Address(home, "wired", 0); again != first || !home.Contains(first.Addr()) || first.Bits() != 64 {
		t.Fatalf("%v, then %v", first, again)
	}
	seen := map[[8]byte]bool{}
	for _, a := range []netip.Prefix{
		first,
		key.Address(other, "wired", 0),
		key.Address(home, "air", 0),
		key.Address(home, "wired", 1),
		Key{"another"}.Address(home, "wired", 0),
	} {
		bytes := a.Addr().As16()
		seen[[8]byte(bytes[8:])] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d identifiers of five: %v", len(seen), seen)
	}
}

func TestReserved(t *testing.T) {
	for id, want := range map[uint64]bool{
		0: true, 1: false,
		0x02005EFF_FDFFFFFF: false, 0x02005EFF_FE000000: true, 0x02005EFF_FE005213: true, 0x02005EFF_FEFFFFFF: true, 0x02005EFF_FF000000: false,
		0xFDFFFFFF_FFFFFF7F: false, 0xFDFFFFFF_FFFFFF80: true, 0xFDFFFFFF_FFFFFFFF: true, 0xFE000000_00000000: false,
	} {
		if got := reserved(id); got != want {
			t.Errorf("%x: %v", id, got)
		}
	}
}
