package wireguard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

const (
	// mark begins the alias of our links; the connection's identifier follows.
	mark = "connman-vpn "
	// maxLinks is how many names are tried, wg0 and on.
	maxLinks = 256
	// maxLinkMTU is the kernel's own choice for its links. It fits Ethernet.
	maxLinkMTU = 1500 - overhead
)

// linux is the kernel of the network namespace that we are in.
type linux struct{}

// missing does not try what would load the module, unless there is no other way.
func (linux) missing() error {
	if _, err := os.Stat("/sys/module/wireguard"); err == nil {
		return nil
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
	listed := false
	for _, file := range []string{"modules.dep", "modules.builtin"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if bytes.Contains(text, []byte("/wireguard.ko")) {
			return nil
		}
		listed = listed || err == nil
	}
	if !listed {
		if _, err := netlink.GenlFamilyGet("wireguard"); err == nil {
			return nil
		}
	}
	return errMissing
}

func (k linux) create(id string, c config, endpoints []netip.AddrPort) (index int, err error) {
	link, err := add(id)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.remove(link.Attrs().Index))
		}
	}()
	if err := configure(link.Attrs().Name, c.device(endpoints)); err != nil {
		return 0, err
	}
	mtu := c.mtu
	if mtu == 0 {
		mtu = k.mtuFor(endpoints)
	}
	if mtu != maxLinkMTU {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return 0, fmt.Errorf("cannot set the MTU of %s to %d: %w", link.Attrs().Name, mtu, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("cannot bring up %s: %w", link.Attrs().Name, err)
	}
	return link.Attrs().Index, nil
}

// add makes a link with the first name that is free, and marks it.
func add(id string) (netlink.Link, error) {
	for n := range maxLinks {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("wg%d", n)
		link := &netlink.Wireguard{LinkAttrs: attrs}
		err := netlink.LinkAdd(link) // which finds out its index
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			return nil, errMissing
		}
		if err != nil {
			return nil, fmt.Errorf("cannot add a WireGuard link: %w", err)
		}
		if err := netlink.LinkSetAlias(link, mark+id); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot mark %s: %w", attrs.Name, err), netlink.LinkDel(link))
		}
		return link, nil
	}
	return nil, fmt.Errorf("no name for a WireGuard link is free, of %d", maxLinks)
}

// device is the configuration as wgctrl takes it.
func (c config) device(endpoints []netip.AddrPort) wgtypes.Config {
	device := wgtypes.Config{PrivateKey: &c.private, ReplacePeers: true}
	if c.port != 0 {
		device.ListenPort = &c.port
	}
	for i, p := range c.peers {
		far := wgtypes.PeerConfig{PublicKey: p.public, PresharedKey: p.preshared, ReplaceAllowedIPs: true}
		if p.keepalive != 0 {
			far.PersistentKeepaliveInterval = &p.keepalive
		}
		if endpoints[i].IsValid() {
			far.Endpoint = net.UDPAddrFromAddrPort(endpoints[i])
		}
		for _, allowed := range p.allowed {
			far.AllowedIPs = append(far.AllowedIPs, net.IPNet{
				IP: allowed.Addr().AsSlice(), Mask: net.CIDRMask(allowed.Bits(), allowed.Addr().BitLen()),
			})
		}
		device.Peers = append(device.Peers, far)
	}
	return device
}

func configure(name string, device wgtypes.Config) error {
	client, err := wgctrl.New()
	if err != nil {
		return fmt.Errorf("cannot reach the kernel's WireGuard: %w", err)
	}
	defer client.Close()
	if err := client.ConfigureDevice(name, device); err != nil {
		return fmt.Errorf("cannot configure %s: %w", name, err)
	}
	return nil
}

// mtuFor is what passes all ways to the endpoints without fragments.
func (k linux) mtuFor(endpoints []netip.AddrPort) int {
	mtu := maxLinkMTU
	for _, e := range endpoints {
		if w := k.way(e.Addr()); w.mtu != 0 {
			mtu = min(mtu, w.mtu-overhead)
		}
	}
	return max(mtu, minMTU6)
}

// byIndex finds a link of ours.
func byIndex(index int) (netlink.Link, error) {
	link, err := netlink.LinkByIndex(index)
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) || errors.Is(err, unix.ENODEV) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at link %d: %w", index, err)
	}
	return link, nil
}

func (linux) remove(index int) error {
	link, err := byIndex(index)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.Is(err, errGone) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot remove link %d: %w", index, err)
	}
	return nil
}

func (linux) removeStale() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("cannot list links: %w", err)
	}
	var failed []error
	for _, link := range links {
		if link.Type() == "wireguard" && strings.HasPrefix(link.Attrs().Alias, mark) {
			failed = append(failed, netlink.LinkDel(link))
		}
	}
	return errors.Join(failed...)
}

func (linux) peers(index int) (map[wgtypes.Key]state, error) {
	link, err := byIndex(index)
	if err != nil {
		return nil, err
	}
	client, err := wgctrl.New()
	if err != nil {
		return nil, fmt.Errorf("cannot reach the kernel's WireGuard: %w", err)
	}
	defer client.Close()
	device, err := client.Device(link.Attrs().Name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at %s: %w", link.Attrs().Name, err)
	}
	states := map[wgtypes.Key]state{}
	for _, p := range device.Peers {
		s := state{sent: p.TransmitBytes, received: p.ReceiveBytes}
		if p.Endpoint != nil {
			e := p.Endpoint.AddrPort()
			s.endpoint = netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
		}
		states[p.PublicKey] = s
	}
	return states, nil
}

func (linux) move(index int, peer wgtypes.Key, to netip.AddrPort) error {
	link, err := byIndex(index)
	if err != nil {
		return err
	}
	return configure(link.Attrs().Name, wgtypes.Config{Peers: []wgtypes.PeerConfig{
		{PublicKey: peer, UpdateOnly: true, Endpoint: net.UDPAddrFromAddrPort(to)},
	}})
}

func (linux) way(to netip.Addr) way {
	if !to.IsValid() {
		return way{}
	}
	routes, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return way{}
	}
	r := routes[0]
	w := way{link: r.LinkIndex, mtu: r.MTU}
	w.gateway, _ = netip.AddrFromSlice(r.Gw)
	w.source, _ = netip.AddrFromSlice(r.Src)
	if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil && w.mtu == 0 {
		w.mtu = link.Attrs().MTU
	}
	return w
}

// watch does not read what the events say: whoever is called looks for himself.
// So it doesn't matter if some are lost.
func (linux) watch(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot watch links: %w", err)
	}
	const groups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
	file := os.NewFile(uintptr(fd), "rtnetlink")
	defer file.Close()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return fmt.Errorf("cannot watch links: %w", err)
	}
	defer context.AfterFunc(ctx, func() { file.Close() })()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for buf := make([]byte, 64); ; {
		if _, err := file.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return ctx.Err()
		}
		select {
		case <-pause.C:
			changed()
			pause.Reset(time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
