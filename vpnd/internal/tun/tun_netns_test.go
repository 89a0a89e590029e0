//go:build netns

package tun_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"net.connman/vpnd/internal/tun"
)

// enter moves the test to a network namespace of its own, for good: the thread
// ends with the test.
func enter(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T) string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range links {
		all = append(all, l.Attrs().Name)
	}
	return fmt.Sprint(all)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinks(t *testing.T) {
	enter(t)
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vpn1"}})) // somebody else's
	var made []tun.Link
	for i, want := range []string{"vpn0", "vpn2", "vpn3"} {
		kind := tun.Tun
		if i == 1 {
			kind = tun.Tap
		}
		l, err := tun.Create(kind, 65534, "test_vpn")
		must(t, err)
		if l.Name != want {
			t.Errorf("%s, want %s", l.Name, want)
		}
		made = append(made, l)
		link, err := netlink.LinkByIndex(l.Index)
		must(t, err)
		device, ok := link.(*netlink.Tuntap)
		if !ok || (device.Mode == netlink.TUNTAP_MODE_TAP) != (kind == tun.Tap) || device.Owner != 65534 || device.NonPersist {
			t.Errorf("%+v", link)
		}
	}
	must(t, made[0].Up())
	link, err := netlink.LinkByIndex(made[0].Index)
	must(t, err)
	if link.Attrs().Flags&unix.IFF_UP == 0 {
		t.Error("the link is not up")
	}
	// Its user attaches.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	request, err := unix.NewIfreq(made[0].Name)
	must(t, err)
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	must(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, request))

	must(t, tun.Remove(made[0]))
	must(t, tun.Remove(made[0])) // gone already
	if got := names(t); got != "[lo vpn1 vpn2 vpn3]" {
		t.Error(got)
	}
	if err := made[0].Up(); err == nil {
		t.Error("a link that is gone came up")
	}
	must(t, tun.Clean())
	if got := names(t); got != "[lo vpn1]" {
		t.Errorf("after Clean there are %s", got)
	}
}

// Tunnels of others stay, whatever they are called.
func TestCleanLeavesOthers(t *testing.T) {
	enter(t)
	must(t, netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "vpn7"}, Mode: netlink.TUNTAP_MODE_TUN}))
	must(t, tun.Clean())
	if got := names(t); got != "[lo vpn7]" {
		t.Error(got)
	}
}

func TestAllNamesTaken(t *testing.T) {
	enter(t)
	for range 256 {
		_, err := tun.Create(tun.Tun, uint32(os.Geteuid()), "test")
		must(t, err)
	}
	if l, err := tun.Create(tun.Tun, 0, "test"); err == nil {
		t.Errorf("there is a 257th link, %s", l.Name)
	}
	must(t, tun.Clean())
	if got := names(t); got != "[lo]" {
		t.Errorf("after Clean there are %s", got)
	}
}
