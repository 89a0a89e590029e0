package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"net.connman/pkg/netcfg"
)

// requestTimeout is how long the kernel may take to answer.
const requestTimeout = 5 * time.Second

// dumpAttempts is how often a dump is tried that changes interrupt.
const dumpAttempts = 5

// skipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h.
const skipStats = 1 << 3

// requester sends requests over one socket, one at a time.
type requester struct {
	sockets map[int]*nl.SocketHandle
}

func newRequester() (*requester, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(requestTimeout.Nanoseconds())
	_ = s.SetSendTimeout(&timeout) // these two only note it
	_ = s.SetReceiveTimeout(&timeout)
	// Kernels that cannot say more (before 4.12) or select less (before 4.20)
	// still do all that is asked.
	_ = s.SetExtAck(true)
	_ = unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return &requester{map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

func (q *requester) close() { q.sockets[unix.NETLINK_ROUTE].Close() }

func (q *requester) request(kind, flags int, data ...nl.NetlinkRequestData) *nl.NetlinkRequest {
	return &nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{
			Len:   unix.SizeofNlMsghdr,
			Type:  uint16(kind),
			Flags: uint16(unix.NLM_F_REQUEST | flags),
		},
		Data:    data,
		Sockets: q.sockets,
	}
}

// do sends a change and waits until it is done.
func (q *requester) do(what string, kind, flags int, data ...nl.NetlinkRequestData) error {
	_, err := q.request(kind, flags|unix.NLM_F_ACK, data...).Execute(unix.NETLINK_ROUTE, 0)
	if err == nil {
		return nil
	}
	if reason := classify(err); reason != nil {
		return fmt.Errorf("cannot %s: %w (%w)", what, reason, err)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

func classify(err error) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return nil
	}
	switch errno {
	case unix.ENODEV, unix.ENXIO:
		return ErrNoLink
	case unix.ENETDOWN:
		return ErrLinkDown
	case unix.EEXIST:
		return ErrExists
	case unix.ESRCH, unix.EADDRNOTAVAIL:
		return ErrNotFound
	case unix.EPERM, unix.EACCES:
		return ErrPermission
	}
	return nil
}

// dump reads everything. complete is false when changes kept interrupting: then
// something may be missing.
func (q *requester) dump() (s Snapshot, complete bool, err error) {
	complete = true
	read := func(kind int, each func(payload []byte) error, ask ...nl.NetlinkRequestData) {
		if err != nil {
			return
		}
		var whole bool
		whole, err = q.dumpOf(kind, each, ask...)
		complete = complete && whole
	}
	known := func(int) Link { return Link{} }
	mask := nl.NewRtAttr(unix.IFLA_EXT_MASK, binary.NativeEndian.AppendUint32(nil, skipStats))
	read(unix.RTM_GETLINK, func(b []byte) error {
		l, ok, err := decodeLink(b, known)
		if ok {
			s.Links = append(s.Links, l)
		}
		return err
	}, nl.NewIfInfomsg(unix.AF_UNSPEC), mask)
	read(unix.RTM_GETADDR, func(b []byte) error {
		a, ok, err := decodeAddr(b)
		if ok {
			s.Addrs = append(s.Addrs, a)
		}
		return err
	}, nl.NewIfAddrmsg(unix.AF_UNSPEC))
	routes := func(family, kind byte) {
		read(unix.RTM_GETROUTE, func(b []byte) error {
			r, ok, err := decodeRoute(b)
			if ok && watched(r.Protocol) {
				s.Routes = append(s.Routes, r)
			}
			return err
		}, routeMessage(family, kind))
	}
	routes(unix.AF_INET, unix.RTN_UNICAST)
	routes(unix.AF_INET6, unix.RTN_UNICAST)
	routes(unix.AF_INET6, unix.RTN_UNREACHABLE)
	return s, complete, err
}

// dumpOf reads all objects of one kind.
func (q *requester) dumpOf(kind int, each func(payload []byte) error, ask ...nl.NetlinkRequestData) (whole bool, err error) {
	for range dumpAttempts {
		var bad error
		err = q.request(kind, unix.NLM_F_DUMP, ask...).ExecuteIter(unix.NETLINK_ROUTE, 0, func(b []byte) bool {
			bad = errors.Join(bad, each(b))
			return true
		})
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	if errors.Is(err, nl.ErrDumpInterrupted) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot dump netlink objects of type %d: %w", kind, err)
	}
	return true, nil
}

// AddAddr implements [Kernel].
func (n *Netlink) AddAddr(index int, a netcfg.Addr) error {
	data := addrMessage(index, a)
	if a.Broadcast.IsValid() {
		data = append(data, nl.NewRtAttr(unix.IFA_BROADCAST, a.Broadcast.AsSlice()))
	}
	if a.Prefix.Addr().Is6() {
		data = append(data, lifetimes(a))
	}
	data = append(data, nl.NewRtAttr(ifaProto, []byte{Protocol}))
	return n.requests.do("add address "+a.Prefix.String(), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, data...)
}

// DelAddr implements [Kernel].
func (n *Netlink) DelAddr(index int, a netcfg.Addr) error {
	return n.requests.do("delete address "+a.Prefix.String(), unix.RTM_DELADDR, 0, addrMessage(index, a)...)
}

// lifetimes is a struct ifa_cacheinfo of linux/if_addr.h: preferred and valid
// time in seconds, which end when we say so, and two times that the kernel sets.
func lifetimes(a netcfg.Addr) *nl.RtAttr {
	preferred := uint32(math.MaxUint32)
	if a.Deprecated {
		preferred = 0
	}
	data := binary.NativeEndian.AppendUint32(nil, preferred)
	data = binary.NativeEndian.AppendUint32(data, math.MaxUint32)
	return nl.NewRtAttr(unix.IFA_CACHEINFO, append(data, make([]byte, 8)...))
}

func addrMessage(index int, a netcfg.Addr) []nl.NetlinkRequestData {
	msg := nl.NewIfAddrmsg(family(a.Prefix.Addr()))
	msg.Prefixlen = uint8(a.Prefix.Bits())
	msg.Index = uint32(index)
	far := a.Prefix.Addr()
	if a.Peer.IsValid() {
		far = a.Peer
	}
	data := []nl.NetlinkRequestData{
		msg,
		nl.NewRtAttr(unix.IFA_LOCAL, a.Prefix.Addr().AsSlice()),
		nl.NewRtAttr(unix.IFA_ADDRESS, far.AsSlice()),
	}
	if a.Prefix.Addr().Is6() {
		flags := uint32(unix.IFA_F_NOPREFIXROUTE)
		if a.Temporaries {
			flags |= unix.IFA_F_MANAGETEMPADDR
		}
		data = append(data, nl.NewRtAttr(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags)))
	}
	return data
}

// AddRoute implements [Kernel].
func (n *Netlink) AddRoute(index int, r netcfg.Route) error {
	return n.newRoute(index, r, unix.NLM_F_APPEND)
}

// ReplaceRoute implements [Kernel].
func (n *Netlink) ReplaceRoute(index int, r netcfg.Route) error {
	return n.newRoute(index, r, unix.NLM_F_REPLACE)
}

func (n *Netlink) newRoute(index int, r netcfg.Route, how int) error {
	scope := uint8(unix.RT_SCOPE_UNIVERSE)
	if !r.Gateway.IsValid() {
		scope = unix.RT_SCOPE_LINK // IPv6 has no scopes and ignores it
	}
	return n.requests.do("add route to "+r.Dst.String(), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|how,
		routeData(Route{Index: index, Route: r, Protocol: Protocol}, scope)...)
}

// DelRoute implements [Kernel].
func (n *Netlink) DelRoute(r Route) error {
	return n.requests.do("delete route to "+r.Dst.String(), unix.RTM_DELROUTE, 0,
		routeData(r, unix.RT_SCOPE_NOWHERE)...) // which is: of any scope
}

func routeMessage(family, kind byte) *nl.RtMsg {
	return &nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Type: kind}}
}

func routeData(r Route, scope uint8) []nl.NetlinkRequestData {
	kind := byte(unix.RTN_UNICAST)
	if r.Unreachable {
		kind = unix.RTN_UNREACHABLE
	}
	msg := routeMessage(byte(family(r.Dst.Addr())), kind)
	msg.Dst_len = uint8(r.Dst.Bits())
	msg.Protocol = r.Protocol
	msg.Scope = scope
	table := uint32(r.Table)
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	data := []nl.NetlinkRequestData{
		msg,
		nl.NewRtAttr(unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, table)),
		nl.NewRtAttr(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(r.Index))),
		nl.NewRtAttr(unix.RTA_PRIORITY, binary.NativeEndian.AppendUint32(nil, r.Metric)),
	}
	if r.Dst.Bits() > 0 {
		data = append(data, nl.NewRtAttr(unix.RTA_DST, r.Dst.Addr().AsSlice()))
	}
	if r.Gateway.IsValid() {
		data = append(data, nl.NewRtAttr(unix.RTA_GATEWAY, r.Gateway.AsSlice()))
	}
	if r.Src.IsValid() {
		data = append(data, nl.NewRtAttr(unix.RTA_PREFSRC, r.Src.AsSlice()))
	}
	return data
}

// SetUp implements [Kernel].
func (n *Netlink) SetUp(index int, up bool) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Change = int32(index), unix.IFF_UP
	what := "bring link down"
	if up {
		msg.Flags, what = unix.IFF_UP, "bring link up"
	}
	return n.requests.do(what, unix.RTM_NEWLINK, 0, msg)
}

// SetHardwareAddr implements [Kernel].
func (n *Netlink) SetHardwareAddr(index int, addr string) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	return n.requests.do("change hardware address", unix.RTM_NEWLINK, 0, msg,
		nl.NewRtAttr(unix.IFLA_ADDRESS, []byte(addr)))
}

// SetMTU implements [Kernel].
func (n *Netlink) SetMTU(index int, mtu int) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	return n.requests.do(fmt.Sprintf("set MTU to %d", mtu), unix.RTM_NEWLINK, 0, msg,
		nl.NewRtAttr(unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu))))
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
