//go:build netns

package kernel_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/netnstest"
)

// A strict filter is loosened; one that is off or loose is left as it is.
func TestLoosenFilter(t *testing.T) {
	netnstest.IP(t, "link add filt.0 type veth peer name peerfilt")
	t.Cleanup(func() { netnstest.IP(t, "link del filt.0") })
	k, err := kernel.Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	const own, all = "/proc/sys/net/ipv4/conf/filt.0/rp_filter", "/proc/sys/net/ipv4/conf/all/rp_filter"
	for _, test := range []struct{ own, all, want string }{
		{"0", "0", "0"}, {"1", "0", "2"}, {"0", "1", "2"}, {"2", "1", "2"}, {"1", "2", "1"},
	} {
		write(t, own, test.own)
		write(t, all, test.all)
		if err := k.LoosenFilter("filt.0"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(own)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(got)) != test.want {
			t.Errorf("own %s, all %s: became %s, want %s", test.own, test.all, got, test.want)
		}
	}
	write(t, all, "0")
}

func write(t *testing.T, file, value string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
