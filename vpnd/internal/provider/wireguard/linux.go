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
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/vpnd/internal/tun"
)

const (
	// mark begins the alias of our links; the connection's identifier follows.
	mark = "connman-vpn "
	// maxLinks is how many names are tried, wg0 and on.
	maxLinks = 256
	// answerTimeout is how long the kernel may owe an answer about links and routes.
	answerTimeout = 10 * time.Second
)

// linux is the kernel of the network namespace that we are in. Its sockets are
// opened when first needed and kept. To open WireGuard's loads the kernel's module,
// so nobody does before a link is made.
type linux struct {
	mu     sync.Mutex // guards what follows: neither is for many goroutines at once
	handle *netlink.Handle
	client *wgctrl.Client
}

// routing is the socket for links and routes. The lock is held.
func (k *linux) routing() (*netlink.Handle, error) {
	if k.handle != nil {
		return k.handle, nil
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the kernel's links: %w", err)
	}
	if err := handle.SetSocketTimeout(answerTimeout); err != nil {
		handle.Close()
		return nil, fmt.Errorf("cannot limit the time for the kernel's links: %w", err)
	}
	k.handle = handle
	return handle, nil
}

// wireguard does something by the socket for WireGuard, again by a new one if
// the kept one fails: a module that was loaded anew has another number. The lock
// is held.
func (k *linux) wireguard(do func(*wgctrl.Client) error) error {
	for {
		kept := k.client != nil
		if !kept {
			client, err := wgctrl.New()
			if err != nil {
				return fmt.Errorf("cannot reach the kernel's WireGuard: %w", err)
			}
			k.client = client
		}
		err := do(k.client)
		if err == nil || !kept {
			return err
		}
		k.client.Close() // has been of no use
		k.client = nil
	}
}

// missing does not try what would load the module, unless there is no other way.
func (*linux) missing() error {
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

// create brings the link up with the message that makes it. That it has no keys
// yet does not matter: nothing is sent before there are peers, and the kernel then
// does for each what it does for those it finds when a link comes up.
func (k *linux) create(id string, c config, endpoints []netip.AddrPort) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle, err := k.routing()
	if err != nil {
		return 0, err
	}
	link, err := add(c.firstMTU())
	if err != nil {
		return 0, err
	}
	// The kernel takes no alias while it makes a link.
	if err := handle.LinkSetAlias(numbered(link.Index), mark+id); err != nil {
		return 0, errors.Join(fmt.Errorf("cannot mark %s: %w", link.Name, err), tun.Remove(link))
	}
	if err := k.configure(link.Name, c.device(endpoints)); err != nil {
		return 0, errors.Join(err, tun.Remove(link))
	}
	return link.Index, nil
}

// add makes a link, up, with the first name that is free.
func add(mtu int) (tun.Link, error) {
	for n := range maxLinks {
		name := fmt.Sprintf("wg%d", n)
		err := request(name, mtu)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			return tun.Link{}, errMissing
		}
		if err != nil {
			return tun.Link{}, fmt.Errorf("cannot add a WireGuard link: %w", err)
		}
		return tun.Find(name)
	}
	return tun.Link{}, fmt.Errorf("no name for a WireGuard link is free, of %d", maxLinks)
}

// request has the kernel make a link. The library's LinkAdd would then have it
// tell all about the link, for its index.
func request(name string, mtu int) error {
	up := nl.NewIfInfomsg(unix.AF_UNSPEC)
	up.Flags, up.Change = unix.IFF_UP, unix.IFF_UP
	kind := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	kind.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("wireguard"))
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	for _, part := range []nl.NetlinkRequestData{
		up, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))), kind,
	} {
		r.AddData(part)
	}
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
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

func (k *linux) configure(name string, device wgtypes.Config) error {
	err := k.wireguard(func(client *wgctrl.Client) error { return client.ConfigureDevice(name, device) })
	if err != nil {
		return fmt.Errorf("cannot configure %s: %w", name, err)
	}
	return nil
}

// name is that of a link of ours. The lock is held.
func (k *linux) name(index int) (string, error) {
	handle, err := k.routing()
	if err != nil {
		return "", err
	}
	link, err := handle.LinkByIndex(index)
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) || errors.Is(err, unix.ENODEV) {
		return "", errGone
	}
	if err != nil {
		return "", fmt.Errorf("cannot look at link %d: %w", index, err)
	}
	return link.Attrs().Name, nil
}

// numbered is a link of ours as far as requests must know it.
func numbered(index int) netlink.Link {
	return &netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func (k *linux) remove(index int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle, err := k.routing()
	if err != nil {
		return err
	}
	if err := handle.LinkDel(numbered(index)); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("cannot remove link %d: %w", index, err)
	}
	return nil
}

func (k *linux) removeStale() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle, err := k.routing()
	if err != nil {
		return err
	}
	links, err := handle.LinkList()
	if err != nil {
		return fmt.Errorf("cannot list links: %w", err)
	}
	var failed []error
	for _, link := range links {
		if link.Type() == "wireguard" && strings.HasPrefix(link.Attrs().Alias, mark) {
			failed = append(failed, handle.LinkDel(link))
		}
	}
	return errors.Join(failed...)
}

func (k *linux) setMTU(index, mtu int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle, err := k.routing()
	if err != nil {
		return err
	}
	if err := handle.LinkSetMTU(numbered(index), mtu); err != nil {
		return fmt.Errorf("cannot set the MTU of link %d to %d: %w", index, mtu, err)
	}
	return nil
}

func (k *linux) peers(index int) (map[wgtypes.Key]state, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, err := k.name(index)
	if err != nil {
		return nil, err
	}
	var device *wgtypes.Device
	err = k.wireguard(func(client *wgctrl.Client) (err error) {
		device, err = client.Device(name)
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at %s: %w", name, err)
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

func (k *linux) move(index int, peer wgtypes.Key, to netip.AddrPort) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, err := k.name(index)
	if err != nil {
		return err
	}
	return k.configure(name, wgtypes.Config{Peers: []wgtypes.PeerConfig{
		{PublicKey: peer, UpdateOnly: true, Endpoint: net.UDPAddrFromAddrPort(to)},
	}})
}

func (k *linux) way(to netip.Addr) way {
	if !to.IsValid() {
		return way{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	handle, err := k.routing()
	if err != nil {
		return way{}
	}
	routes, err := handle.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return way{}
	}
	r := routes[0]
	w := way{link: r.LinkIndex, mtu: r.MTU}
	w.gateway, _ = netip.AddrFromSlice(r.Gw)
	w.source, _ = netip.AddrFromSlice(r.Src)
	if w.mtu == 0 {
		if link, err := handle.LinkByIndex(r.LinkIndex); err == nil {
			w.mtu = link.Attrs().MTU
		}
	}
	return w
}

// watch does not read what the events say: whoever is called looks for himself.
// So it doesn't matter if some are lost.
func (*linux) watch(ctx context.Context, changed func()) error {
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
