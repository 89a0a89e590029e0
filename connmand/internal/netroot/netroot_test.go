package netroot

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRootServer(t *testing.T) {
	const (
		local = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
		nfs   = "22 1 0:19 / / rw,relatime - nfs 10.0.0.9:/srv/root rw,vers=3,proto=tcp,mountaddr=10.0.0.8,addr=10.0.0.9\n"
		nfs4  = "22 1 0:19 / / ro shared:1 - nfs4 nas:/root ro,vers=4.2,clientaddr=2001:db8::5,addr=2001:db8::9\n"
		home  = "30 22 0:40 / /home rw - nfs 10.0.0.7:/home rw,addr=10.0.0.7\n"
	)
	tests := []struct{ name, mounts, want string }{
		{"local", local, ""},
		{"nfs", nfs, "10.0.0.9"},
		{"nfs4 over IPv6", nfs4, "2001:db8::9"},
		{"only home is remote", local + home, ""},
		{"overlay on top of nfs", nfs + "40 22 0:50 / / rw - overlay overlay rw\n", ""},
		{"nfs on top of the initial root", "1 1 0:2 / / rw - rootfs rootfs rw\n" + nfs, "10.0.0.9"},
		{"no address", "22 1 0:19 / / rw - nfs x:/ rw,addr=nonsense\n", ""},
		{"cut short", "22 1 0:19 / /\n- nfs\n\n - \n", ""},
	}
	for _, test := range tests {
		got, ok := rootServer(strings.NewReader(test.mounts))
		if ok != (test.want != "") || ok && got != netip.MustParseAddr(test.want) {
			t.Errorf("%s: server %v, %v; want %q", test.name, got, ok, test.want)
		}
	}
}

func TestLeadingToLoopback(t *testing.T) {
	if name, err := leadingTo(netip.MustParseAddr("127.0.0.1")); err != nil || name != "lo" {
		t.Errorf("the way to 127.0.0.1 is %q, %v", name, err)
	}
}
