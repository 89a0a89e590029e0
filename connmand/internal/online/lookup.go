package online

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	dnsPort      = 53
	tryTimeout   = 1500 * time.Millisecond // of one question to one server
	rounds       = 2                       // how often each server is asked
	maxServers   = 4
	maxAddresses = 8
	maxUDPReply  = 4096
)

var (
	errNoSuchName = errors.New("no such name")
	errNoAddress  = errors.New("the name has no address")
	errMismatch   = errors.New("the reply does not answer the question")
)

// lookup asks name servers for a host's addresses (RFC 1035).
type lookup struct {
	servers []netip.Addr
	dial    dialFunc
}

// addresses returns at least one address of host, of IPv4 or of IPv6. The
// servers are asked in turn until one knows.
func (l lookup) addresses(ctx context.Context, host string, v4 bool) ([]netip.Addr, error) {
	q, err := newQuestion(host, v4)
	if err != nil {
		return nil, err
	}
	if len(l.servers) == 0 {
		return nil, fmt.Errorf("cannot resolve %s: no name server", host)
	}
	var failures []error // of the last round
	for range rounds {
		failures = nil
		for _, server := range l.servers[:min(len(l.servers), maxServers)] {
			addrs, err := l.ask(ctx, server, q)
			if err == nil {
				return addrs, nil
			}
			failures = append(failures, err)
			if errors.Is(err, errNoSuchName) || ctx.Err() != nil {
				return nil, fmt.Errorf("cannot resolve %s: %w", host, errors.Join(failures...))
			}
		}
	}
	return nil, fmt.Errorf("cannot resolve %s: %w", host, errors.Join(failures...))
}

// ask asks one server over UDP and, when the reply is cut short, over TCP.
func (l lookup) ask(ctx context.Context, server netip.Addr, q dnsmessage.Question) ([]netip.Addr, error) {
	ctx, stop := context.WithTimeout(ctx, tryTimeout)
	defer stop()
	addrs, truncated, err := l.exchange(ctx, "udp", server, q)
	if truncated {
		addrs, _, err = l.exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", server, err)
	}
	return addrs, nil
}

func (l lookup) exchange(ctx context.Context, network string, server netip.Addr, q dnsmessage.Question) (addrs []netip.Addr, truncated bool, err error) {
	conn, err := l.dial(ctx, network, netip.AddrPortFrom(server, dnsPort))
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	defer endWith(ctx, conn)()

	id := newID()
	query, err := pack(id, q)
	if err != nil {
		return nil, false, err
	}
	if network == "tcp" {
		return exchangeTCP(conn, query, id, q)
	}
	return exchangeUDP(conn, query, id, q)
}

// exchangeUDP waits for the reply to query and passes over whatever else
// arrives: it may be late, or forged.
func exchangeUDP(conn net.Conn, query []byte, id uint16, q dnsmessage.Question) ([]netip.Addr, bool, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, false, err
	}
	reply := make([]byte, maxUDPReply)
	for {
		n, err := conn.Read(reply)
		if err != nil {
			return nil, false, err
		}
		addrs, truncated, err := parseReply(reply[:n], id, q)
		if !errors.Is(err, errMismatch) {
			return addrs, truncated, err
		}
	}
}

// exchangeTCP is the same over a stream, where messages follow their length.
func exchangeTCP(conn net.Conn, query []byte, id uint16, q dnsmessage.Question) ([]netip.Addr, bool, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return nil, false, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, false, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, false, err
	}
	return parseReply(reply, id, q)
}

func newID() uint16 {
	var b [2]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return binary.BigEndian.Uint16(b[:])
}

func newQuestion(host string, v4 bool) (dnsmessage.Question, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return dnsmessage.Question{}, fmt.Errorf("cannot ask for %q: %w", host, err)
	}
	q := dnsmessage.Question{Name: name, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}
	if v4 {
		q.Type = dnsmessage.TypeA
	}
	return q, nil
}

func pack(id uint16, q dnsmessage.Question) ([]byte, error) {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{q},
	}
	return m.Pack()
}

// parseReply returns the addresses that reply gives to question q of the given
// id, or errMismatch when it answers something else. It follows aliases in the
// order in which they stand.
func parseReply(reply []byte, id uint16, q dnsmessage.Question) (addrs []netip.Addr, truncated bool, err error) {
	var p dnsmessage.Parser
	head, err := p.Start(reply)
	if err != nil || head.ID != id || !head.Response {
		return nil, false, errMismatch
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || !sameQuestion(asked[0], q) {
		return nil, false, errMismatch
	}
	switch {
	case head.RCode == dnsmessage.RCodeNameError:
		return nil, false, errNoSuchName
	case head.RCode != dnsmessage.RCodeSuccess:
		return nil, false, fmt.Errorf("the server answered %v", head.RCode)
	case head.Truncated:
		return nil, true, errNoAddress
	}
	addrs, err = answers(&p, q)
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	return addrs, false, err
}

// answers reads p's answer section.
func answers(p *dnsmessage.Parser, q dnsmessage.Question) ([]netip.Addr, error) {
	name := q.Name
	var addrs []netip.Addr
	for len(addrs) < maxAddresses {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Class != q.Class || !sameName(h.Name, name) || h.Type != q.Type && h.Type != dnsmessage.TypeCNAME {
			err = p.SkipAnswer()
		} else if h.Type == dnsmessage.TypeCNAME {
			name, err = alias(p)
		} else {
			addrs, err = appendAddress(addrs, p, h.Type)
		}
		if err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

func alias(p *dnsmessage.Parser) (dnsmessage.Name, error) {
	r, err := p.CNAMEResource()
	return r.CNAME, err
}

// appendAddress adds the answer at p to addrs unless no server on the Internet
// can have such an address.
func appendAddress(addrs []netip.Addr, p *dnsmessage.Parser, t dnsmessage.Type) ([]netip.Addr, error) {
	var a netip.Addr
	if t == dnsmessage.TypeA {
		r, err := p.AResource()
		if err != nil {
			return nil, err
		}
		a = netip.AddrFrom4(r.A)
	} else {
		r, err := p.AAAAResource()
		if err != nil {
			return nil, err
		}
		a = netip.AddrFrom16(r.AAAA)
	}
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.Is4In6() {
		return addrs, nil
	}
	return append(addrs, a), nil
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && sameName(a.Name, b.Name)
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }
