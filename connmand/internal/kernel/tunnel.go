package kernel

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tunnelTTL is the time to live of the IPv4 packets that carry IPv6.
const tunnelTTL = 64

// kindSIT is IPv6 in IPv4 ("simple Internet transition").
const kindSIT = "sit"

// AddTunnel implements [Kernel].
func (n *Netlink) AddTunnel(name string, local netip.Addr) (index int, err error) {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, []byte(kindSIT))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_IPTUN_LOCAL, local.AsSlice())
	data.AddRtAttr(nl.IFLA_IPTUN_TTL, []byte{tunnelTTL})
	data.AddRtAttr(nl.IFLA_IPTUN_PMTUDISC, []byte{1})
	err = n.requests.do("add tunnel "+name, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
		nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), info)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return 0, errors.Join(ErrNoTunnel, err)
	}
	if err != nil {
		return 0, err
	}
	made, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return made.Index, nil
}

// DelLink implements [Kernel].
func (n *Netlink) DelLink(name string) error {
	return n.requests.do("delete link "+name, unix.RTM_DELLINK, 0,
		nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
}
