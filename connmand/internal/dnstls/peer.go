package dnstls

import (
	"errors"
	"net/netip"
	"strings"
)

// Peer is a server, as the relay has to know it.
type Peer struct {
	Addr netip.Addr
	Link string // by which it is reached, "" for any
	// Name is what its certificate must be for; "" stands for Addr.
	Name string
	// Strict demands such a certificate, of an authority that the system
	// trusts. Otherwise any does.
	Strict bool
}

// A message of either direction has these fields, and zero bytes between them:
// mode, address, link, name and, from the relay, what is wrong with the server.
const (
	separator  = "\x00"
	strict     = "strict"
	lenient    = "lenient"
	peerFields = 4
	maxMessage = 2048 // bytes
)

func (p Peer) fields() []string {
	mode := lenient
	if p.Strict {
		mode = strict
	}
	return []string{mode, p.Addr.String(), p.Link, p.Name}
}

// Message is what the daemon sends to have the server spoken to.
func (p Peer) Message() []byte { return []byte(strings.Join(p.fields(), separator)) }

// Report is what the relay sends back: the reason why the server cannot be
// spoken to, "" when it can be.
func (p Peer) Report(reason string) []byte {
	reason = strings.ToValidUTF8(reason, "?")
	return []byte(strings.Join(append(p.fields(), reason[:min(len(reason), maxMessage/2)]), separator))
}

var errMessage = errors.New("not a message of ours")

// ParseMessage reads what Message made.
func ParseMessage(msg []byte) (Peer, error) {
	fields := strings.Split(string(msg), separator)
	if len(fields) != peerFields {
		return Peer{}, errMessage
	}
	return parsePeer(fields)
}

// parseReport reads what Report made.
func parseReport(msg []byte) (p Peer, reason string, err error) {
	fields := strings.SplitN(string(msg), separator, peerFields+1)
	if len(fields) != peerFields+1 {
		return Peer{}, "", errMessage
	}
	p, err = parsePeer(fields[:peerFields])
	return p, fields[peerFields], err
}

func parsePeer(fields []string) (Peer, error) {
	addr, err := netip.ParseAddr(fields[1])
	if err != nil || fields[0] != strict && fields[0] != lenient {
		return Peer{}, errMessage
	}
	return Peer{Strict: fields[0] == strict, Addr: addr, Link: fields[2], Name: fields[3]}, nil
}
