package opaque

import "testing"

func TestHardwareAddr(t *testing.T) {
	k, other := Key{"a secret"}, Key{"another"}
	const home, adapter = "home", "\x00\x11\x22\x33\x44\x55"
	address := k.HardwareAddr(home, adapter)
	if address != k.HardwareAddr(home, adapter) {
		t.Error("not the same again")
	}
	seen := map[string]bool{address: true}
	for _, a := range []string{
		k.HardwareAddr("work", adapter), k.HardwareAddr(home, "\x00\x11\x22\x33\x44\x56"), other.HardwareAddr(home, adapter),
		k.HardwareAddr("", adapter), RandomHardwareAddr(), RandomHardwareAddr(),
	} {
		if seen[a] {
			t.Errorf("%x again", a)
		}
		seen[a] = true
	}
	for a := range seen {
		if len(a) != 6 || a[0]&3 != 2 {
			t.Errorf("%x is no machine's own address", a)
		}
	}
}
