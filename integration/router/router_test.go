//go:build netns

package router_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// TestHomeIsUsable visits the router's name and web servers from another
// machine.
func TestHomeIsUsable(t *testing.T) {
	l := lab.ForTest(t)
	machine, err := l.Host("machine")
	if err != nil {
		t.Fatal(err)
	}
	home, err := l.Host("home")
	if err != nil {
		t.Fatal(err)
	}
	near, far, err := l.Cable(machine, "eth0", nil, home, "port0")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{near.AddAddr("192.0.2.2/24"), far.AddAddr("192.0.2.1/24"), near.Up(), far.Up()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	var r *router.Router
	err = home.Do(func() (err error) {
		r, err = router.Start(router.Config{
			Interface: "port0",
			Address:   netip.MustParsePrefix("192.0.2.1/24"),
			First:     netip.MustParseAddr("192.0.2.100"),
			Count:     10,
			Lease:     time.Hour,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()

	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		return conn, machine.Do(func() error {
			conn, err = net.Dial(network, "192.0.2.1:53")
			return err
		})
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	addresses, err := resolver.LookupNetIP(ctx, "ip4", "ipv4.connman.net")
	if err != nil || len(addresses) != 1 || addresses[0].String() != "192.0.2.1" {
		t.Errorf("the name resolves to %v, %v", addresses, err)
	}

	const get = `exec 3<>/dev/tcp/192.0.2.1/80; printf 'GET /online/status.html HTTP/1.0\r\n\r\n' >&3; cat <&3`
	out, err := machine.Output(exec.Command("bash", "-c", get))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "\r\nX-ConnMan-Status: online\r\n") {
		t.Errorf("the web server says\n%s", out)
	}
	if got := r.Web.Requests(); got != 1 {
		t.Errorf("%d requests counted, want 1", got)
	}
}
