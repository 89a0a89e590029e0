package router

import (
	"errors"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// names answers every question for an address with the router's own, and says
// of everything else that the name has no such record.
type names struct {
	servers [2]*dns.Server
	done    chan error
}

func startNames(address netip.Addr) (*names, error) {
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
		_ = w.WriteMsg(answerWith(address, question))
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

func answerWith(address netip.Addr, question *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(question)
	for _, q := range question.Question {
		if q.Qtype == dns.TypeA {
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A:   address.AsSlice(),
			})
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
