//go:build vm

package wireguard

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl"
)

// limit is how long anything may take: the machine is emulated.
const limit = 2 * time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The kernel gets what the settings say, and forgets it.
func TestLink(t *testing.T) {
	k := linux{}
	must(t, k.missing())
	c, err := parse(example("WireGuard.PresharedKey", sharedKey, "WireGuard.PersistentKeepalive", "25",
		"WireGuard.AllowedIPs", "10.2.0.0/24,2001:db8::/32", "WireGuard.Peer2.PublicKey", otherKey,
		"WireGuard.Peer2.AllowedIPs", "10.9.0.0/16"))
	must(t, err)
	first := netip.MustParseAddrPort("127.0.0.9:51820")
	index, err := k.create("x", c, []netip.AddrPort{first, {}})
	must(t, err)
	link, err := netlink.LinkByIndex(index)
	must(t, err)
	if a := link.Attrs(); a.Name != "wg0" || a.MTU != maxLinkMTU || a.Alias != mark+"x" || a.Flags&1 == 0 {
		t.Errorf("link is %+v", a)
	}
	client, err := wgctrl.New()
	must(t, err)
	defer client.Close()
	device, err := client.Device("wg0")
	must(t, err)
	if device.PrivateKey.PublicKey() != c.private.PublicKey() || device.ListenPort != c.port || len(device.Peers) != 2 {
		t.Errorf("the kernel's link listens at %d and has %d peers", device.ListenPort, len(device.Peers))
	}
	for _, p := range device.Peers {
		if p.PublicKey == mustKey(t, publicKey) && (p.PresharedKey != mustKey(t, sharedKey) ||
			p.PersistentKeepaliveInterval != 25*time.Second || len(p.AllowedIPs) != 2) {
			t.Errorf("the first peer has %v and %v", p.PersistentKeepaliveInterval, p.AllowedIPs)
		}
	}
	peers, err := k.peers(index)
	must(t, err)
	if got := peers[mustKey(t, publicKey)].endpoint; got != first {
		t.Errorf("the first peer is at %v", got)
	}
	elsewhere := netip.MustParseAddrPort("[2001:db8:9::1]:7")
	must(t, k.move(index, mustKey(t, otherKey), elsewhere))
	peers, err = k.peers(index)
	must(t, err)
	if got := peers[mustKey(t, otherKey)].endpoint; got != elsewhere || peers[mustKey(t, publicKey)].endpoint != first {
		t.Errorf("the second peer is at %v", got)
	}
	must(t, k.setMTU(index, 1300))
	if link, err = netlink.LinkByIndex(index); err != nil || link.Attrs().MTU != 1300 {
		t.Errorf("link is %+v, %v", link.Attrs(), err)
	}
	must(t, k.remove(index))
	must(t, k.remove(index))
	if _, err := k.peers(index); !errors.Is(err, errGone) {
		t.Errorf("error %v of a link that is gone", err)
	}
}

// Only links of ours are removed with what an earlier run has left.
func TestStaleLinks(t *testing.T) {
	k := linux{}
	c, err := parse(example("VPN.MTU", "1300"))
	must(t, err)
	foreign := &netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: "wg0", Alias: "home"}}
	must(t, netlink.LinkAdd(foreign))
	defer func() { must(t, netlink.LinkDel(foreign)) }()
	index, err := k.create("x", c, make([]netip.AddrPort, 1))
	must(t, err)
	if link, err := netlink.LinkByIndex(index); err != nil || link.Attrs().Name != "wg1" || link.Attrs().MTU != 1300 {
		t.Errorf("link is %+v, %v", link.Attrs(), err)
	}
	must(t, k.removeStale())
	if _, err := k.peers(index); !errors.Is(err, errGone) {
		t.Errorf("a link of ours is left: %v", err)
	}
	if _, err := netlink.LinkByName("wg0"); err != nil {
		t.Errorf("the foreign link: %v", err)
	}
}

// What cannot be made leaves nothing.
func TestPortTaken(t *testing.T) {
	k := linux{}
	c, err := parse(example())
	must(t, err)
	index, err := k.create("x", c, make([]netip.AddrPort, 1))
	must(t, err)
	defer func() { must(t, k.remove(index)) }()
	if second, err := k.create("y", c, make([]netip.AddrPort, 1)); err == nil {
		t.Errorf("link %d listens where another does", second)
	}
	if link, err := netlink.LinkByName("wg1"); err == nil {
		t.Errorf("%s is left", link.Attrs().Name)
	}
}

// Changes of links are noticed, and the watch ends with its context.
func TestWatch(t *testing.T) {
	k := linux{}
	ctx, cancel := context.WithCancel(t.Context())
	noticed, ended := make(chan struct{}, 64), make(chan error, 1)
	go func() { ended <- k.watch(ctx, func() { noticed <- struct{}{} }) }()
	deadline := time.After(limit)
	for seen := false; !seen; {
		dummy := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "dummy7"}}
		must(t, netlink.LinkAdd(dummy))
		must(t, netlink.LinkDel(dummy))
		select {
		case <-noticed:
			seen = true
		case <-time.After(100 * time.Millisecond): // it may not have begun
		case <-deadline:
			t.Fatal("no change was noticed")
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// The way to an address is that of the kernel's routes.
func TestWay(t *testing.T) {
	k := linux{}
	dummy := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "dummy8", MTU: 1400}}
	must(t, netlink.LinkAdd(dummy))
	defer func() { must(t, netlink.LinkDel(dummy)) }()
	address, err := netlink.ParseAddr("192.0.2.1/24")
	must(t, err)
	must(t, netlink.AddrAdd(dummy, address))
	must(t, netlink.LinkSetUp(dummy))
	want := way{link: dummy.Attrs().Index, source: netip.MustParseAddr("192.0.2.1"), mtu: 1400}
	if got := k.way(netip.MustParseAddr("192.0.2.7")); got != want {
		t.Errorf("the way is %+v, want %+v", got, want)
	}
	if got := k.way(netip.MustParseAddr("198.51.100.1")); got != (way{}) {
		t.Errorf("a way to nowhere: %+v", got)
	}
}
