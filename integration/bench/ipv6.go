package main

import (
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

// advertiser is a dnsmasq that does nothing but announce a prefix.
const advertiser = `interface=home
port=0
bind-dynamic
enable-ra
dhcp-range=2001:db8:1::,ra-only,64,2h
leasefile-ro
user=root
`

// acceptAdvertisements has systemd-networkd do what the others do by default.
const acceptAdvertisements = `[Match]
Name=eth*
[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
IPv6AcceptRA=yes
`

// followsRouters says which managers look for IPv6 routers here.
func followsRouters(m lab.Manager) bool { return m.Name != lab.NetworkManager().Name }

// measureIPv6 plugs a cable into a running daemon and waits for an IPv6 address
// that can be used beyond the link.
func measureIPv6(t *table, m lab.Manager) error {
	s, err := set(m, 1, func(h *lab.Host) error {
		return h.WriteFile("/etc/systemd/network/10-wired.network", acceptAdvertisements)
	})
	if err != nil {
		return err
	}
	return errors.Join(s.advertised(t), s.strike())
}

func (s *stage) advertised(t *table) error {
	if err := s.advertise(); err != nil {
		return err
	}
	if _, err := s.manager.Run(s.home.Machine, s.home.Bus); err != nil {
		return err
	}
	eth := s.home.Links[0]
	err := lab.Eventually(patience, func() error {
		link, err := eth.Host.Netlink.LinkByName(eth.Name())
		if err == nil && link.Attrs().RawFlags&unix.IFF_UP == 0 {
			err = errors.New("link is not brought up")
		}
		return err
	})
	if err != nil {
		return err
	}
	// The kernel spreads the news of links at most once a second.
	time.Sleep(1200 * time.Millisecond)
	plugged := time.Now()
	if err := s.home.Plug(); err != nil {
		return err
	}
	if err := lab.Eventually(patience, func() error { return reachable(eth) }); err != nil {
		return fmt.Errorf("carrier up → IPv6 address: %w", err)
	}
	t.less(s.manager, "carrier up → IPv6 address", "ms", milliseconds(plugged, time.Now()))
	return nil
}

// advertise starts the IPv6 router behind the switch.
func (s *stage) advertise() error {
	gateway := s.home.Gateway
	own := exec.Command("ip", "-6", "addr", "add", "2001:db8:1::1/64", "dev", "home", "nodad")
	if _, err := gateway.Output(own); err != nil {
		return err
	}
	if err := gateway.WriteFile("/etc/dnsmasq.conf", advertiser); err != nil {
		return err
	}
	_, err := gateway.Start(exec.Command("dnsmasq", "-k", "-C", "/etc/dnsmasq.conf", "-x", "/run/dnsmasq.pid"))
	return err
}

// reachable objects unless the interface has a global IPv6 address that the
// kernel found to be unique.
func reachable(end lab.End) error {
	list, err := end.Host.Netlink.AddrList(end.Link, netlink.FAMILY_V6)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.IP.IsGlobalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
			return nil
		}
	}
	return errors.New("no global address")
}
