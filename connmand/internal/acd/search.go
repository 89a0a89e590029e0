package acd

import (
	"net/netip"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/loop"
)

// patience is how long a neighbour may take to answer.
const patience = time.Second

// search waits for a neighbour's word.
type search struct {
	link  core.Link
	who   netip.Addr
	found func(core.HardwareAddr)
	timer *loop.Timer
}

// Find asks the neighbour who has an address for its hardware address, without
// telling one of ours; found hears it, unless there is no answer. With at only the
// station there is asked (RFC 4436, 2.2), else all are.
func (d *Detector) Find(link core.Link, who netip.Addr, at core.HardwareAddr, found func(core.HardwareAddr)) (cancel func()) {
	s := &search{link: link, who: who, found: found}
	d.searches = append(d.searches, s)
	d.hold()
	if at == "" {
		at = rawsock.Broadcast
	}
	d.send(link, at, arp{sender: link.Addr, senderIP: netip.IPv4Unspecified(), targetIP: who})
	s.timer = d.loop.After("neighbour", patience, func() { d.end(s) })
	return func() { d.end(s) }
}

func (d *Detector) end(s *search) {
	s.timer.Stop()
	d.searches = slices.DeleteFunc(slices.Clone(d.searches), func(o *search) bool { return o == s })
	d.hold()
}

// tell gives the searches what a neighbour says of itself.
func (d *Detector) tell(in inbound) {
	for _, s := range d.searches {
		if s.link.Index == in.link && s.who == in.arp.senderIP && slices.Contains(d.searches, s) {
			d.end(s)
			s.found(in.arp.sender)
		}
	}
}
