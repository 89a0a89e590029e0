//go:build netns

package ipv6

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"net.connman/integration/lab"
)

// scripted is a DHCPv6 server on the first router that does what a test says.
type scripted struct {
	w    *world
	conn *net.UDPConn

	mu     sync.Mutex
	heard  []question
	answer func(question) [][]byte // never nil
}

// question is what the machine sent.
type question struct {
	*dhcpv6.Message
	at   time.Time
	from *net.UDPAddr
}

// script runs a server that gives answers, which are whole messages.
func (w *world) script(answer func(question) [][]byte) *scripted {
	w.t.Helper()
	w.linkLocal(w.bridge)
	s := &scripted{w: w, answer: answer}
	must(w.t, w.gateway.Do(func() error {
		home, err := net.InterfaceByName("home")
		if err != nil {
			return err
		}
		group := &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: dhcpv6.DefaultServerPort}
		s.conn, err = net.ListenMulticastUDP("udp6", home, group)
		return err
	}))
	ended := make(chan struct{})
	go func() { defer close(ended); s.serve() }()
	w.t.Cleanup(func() { s.conn.Close(); <-ended })
	return s
}

func (s *scripted) serve() {
	b := make([]byte, 2048)
	for {
		n, from, err := s.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		m, err := dhcpv6.MessageFromBytes(slices.Clone(b[:n]))
		if err != nil {
			s.w.t.Errorf("malformed message from the machine: %v", err)
			continue
		}
		q := question{m, time.Now(), from}
		s.mu.Lock()
		s.heard = append(s.heard, q)
		answer := s.answer
		s.mu.Unlock()
		for _, reply := range answer(q) {
			s.send(reply, from)
		}
	}
}

func (s *scripted) send(b []byte, to *net.UDPAddr) {
	if _, err := s.conn.WriteToUDP(b, to); err != nil && !errors.Is(err, net.ErrClosed) {
		s.w.t.Errorf("cannot answer: %v", err)
	}
}

// from now on the server gives other answers.
func (s *scripted) now(answer func(question) [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// kinds returns the messages of a type that were heard.
func (s *scripted) kinds(kind dhcpv6.MessageType) (list []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.heard {
		if q.MessageType == kind {
			list = append(list, q)
		}
	}
	return list
}

// wait waits until so many messages of a type were heard, and returns them.
func (s *scripted) wait(kind dhcpv6.MessageType, count int) (list []question) {
	s.w.t.Helper()
	must(s.w.t, lab.Eventually(patience, func() error {
		if list = s.kinds(kind); len(list) < count {
			return fmt.Errorf("%d of %d messages %v", len(list), count, kind)
		}
		return nil
	}))
	return list
}

// lifetime is how long an address may be used, in seconds.
type lifetime struct {
	address string
	valid   uint32
}

var scriptedID = &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}

// reply makes a message to q with addresses of one association, renewed after
// five seconds.
func (q question) reply(more ...dhcpv6.Option) *dhcpv6.Message {
	kind := dhcpv6.MessageTypeReply
	if q.MessageType == dhcpv6.MessageTypeSolicit {
		kind = dhcpv6.MessageTypeAdvertise
	}
	m := &dhcpv6.Message{MessageType: kind, TransactionID: q.TransactionID}
	m.AddOption(dhcpv6.OptClientID(q.Options.ClientID()))
	m.AddOption(dhcpv6.OptServerID(scriptedID))
	for _, o := range more {
		m.AddOption(o)
	}
	return m
}

// association is an IA_NA for q with these addresses.
func (q question) association(list ...lifetime) dhcpv6.Option {
	ia := &dhcpv6.OptIANA{T1: 5 * time.Second, T2: 8 * time.Second}
	if asked := q.Options.OneIANA(); asked != nil {
		ia.IaId = asked.IaId
	}
	for _, l := range list {
		valid := time.Duration(l.valid) * time.Second
		ia.Options.Add(&dhcpv6.OptIAAddress{
			IPv6Addr: netip.MustParseAddr(l.address).AsSlice(), PreferredLifetime: valid, ValidLifetime: valid,
		})
	}
	return ia
}

// gives is a server that gives these addresses, and says yes to all else.
func gives(list ...lifetime) func(question) [][]byte {
	return func(q question) [][]byte {
		switch q.MessageType {
		case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
			return [][]byte{q.reply(q.association(list...)).ToBytes()}
		}
		return [][]byte{q.reply().ToBytes()}
	}
}

func silent(question) [][]byte { return nil }
