package router

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// namesTTL is short: what a test says of a name, it may change.
const namesTTL = 1

// names answers every question for an address with what the test says of the
// name or with the router's own, and says of everything else that the name has no
// such record.
type names struct {
	servers [2]*dns.Server
	done    chan error
}

func startNames(address netip.Addr, known func(string) []netip.Addr) (*names, error) {
	at := netip.AddrPortFrom(address, 53)
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	streams, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		packets.Close()
		return nil, err
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		_ = w.WriteMsg(answerWith(address, known, question))
	})
	n := &names{done: make(chan error, 2)}
	n.servers = [2]*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: streams, Handler: answer}}
	for _, server := range n.servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { n.done <- server.ActivateAndServe() }()
		<-started
	}
	return n, nil
}

func answerWith(own netip.Addr, known func(string) []netip.Addr, question *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(question)
	for _, q := range question.Question {
		addresses, ttl := []netip.Addr{own}, uint32(60)
		if known != nil {
			if list := known(strings.TrimSuffix(q.Name, ".")); list != nil {
				addresses, ttl = list, namesTTL
			}
		}
		for _, address := range addresses {
			header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: ttl}
			switch {
			case q.Qtype == dns.TypeA && address.Is4():
				reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: address.AsSlice()})
			case q.Qtype == dns.TypeAAAA && address.Is6():
				reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: address.AsSlice()})
			}
		}
	}
	return reply
}

func (n *names) close() error {
	var errs []error
	for _, server := range n.servers {
		errs = append(errs, server.Shutdown(), <-n.done)
	}
	return errors.Join(errs...)
}
