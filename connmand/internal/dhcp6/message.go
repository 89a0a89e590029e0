package dhcp6

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
)

const (
	clientPort = 546
	serverPort = 547

	headerLen    = 4
	maxAddresses = 16 // of an association
)

// kind is a message type (RFC 8415, 7.3).
type kind uint8

const (
	solicit     kind = 1
	advertise   kind = 2
	request     kind = 3
	confirm     kind = 4
	renew       kind = 5
	rebind      kind = 6
	response    kind = 7 // called Reply
	release     kind = 8
	decline     kind = 9
	information kind = 11
)

// status is a status code (RFC 8415, 21.13).
type status uint16

const (
	success     status = 0
	noAddresses status = 2
	noBinding   status = 3
	notOnLink   status = 4
)

// iaid tells a client's associations apart. This client has one.
type iaid [4]byte

// iaidOf is the association of a link, the last four bytes of its address: so
// machines that come from the C implementation keep their leases.
func iaidOf(addr core.HardwareAddr) iaid {
	var id iaid
	copy(id[:], addr[max(0, len(addr)-len(id)):])
	return id
}

// association is what a server says of one.
type association struct {
	id        iaid
	t1, t2    uint32 // seconds; 0 leaves it to the client
	status    status
	addresses []given
}

// given is an address with its lifetimes, seconds from the moment it was asked
// for.
type given struct {
	address          netip.Addr
	preferred, valid uint32
}

// reply is a server's message: an Advertise or a Reply.
type reply struct {
	kind         kind
	xid          uint32
	client       core.DUID // "": not said
	server       core.DUID // never ""
	status       status
	preference   uint8
	rapid        bool // answers a Solicit for good
	associations []association
	options      options
	raw          []byte // the message, to be kept in a file
}

// association returns what r says of one, none if nothing.
func (r reply) association(id iaid) (association, bool) {
	for _, a := range r.associations {
		if a.id == id {
			return a, true
		}
	}
	return association{}, false
}

// parseReply reads a server's message. It refuses whatever does not come from
// a server, has no server identifier, breaks off within an option or has an
// association that makes no sense. r points into b.
func parseReply(b []byte) (reply, error) {
	if len(b) < headerLen {
		return reply{}, fmt.Errorf("message of %d bytes", len(b))
	}
	r := reply{kind: kind(b[0]), xid: binary.BigEndian.Uint32(b) & 0xffffff, raw: b}
	if r.kind != advertise && r.kind != response {
		return reply{}, fmt.Errorf("message type %d is no answer to a client", r.kind)
	}
	var err error
	if r.options, err = parseOptions(b[headerLen:]); err != nil {
		return reply{}, err
	}
	for _, o := range r.options {
		if err := r.read(o); err != nil {
			return reply{}, fmt.Errorf("option %d: %w", o.code, err)
		}
	}
	if r.server == "" {
		return reply{}, fmt.Errorf("no server identifier")
	}
	return r, nil
}

func (r *reply) read(o option) (err error) {
	switch o.code {
	case optClientID:
		r.client, err = parseDUID(r.client, o.value)
	case optServerID:
		r.server, err = parseDUID(r.server, o.value)
	case optStatus:
		r.status, err = parseStatus(o.value)
	case optRapidCommit:
		r.rapid = true
	case optPreference:
		if len(o.value) != 1 {
			return fmt.Errorf("preference of %d bytes", len(o.value))
		}
		r.preference = o.value[0]
	case optIANA:
		var a association
		if a, err = parseAssociation(o.value); err == nil {
			r.associations = append(r.associations, a)
		}
	}
	return err
}

// parseDUID reads an identifier that may be there once.
func parseDUID(before core.DUID, b []byte) (core.DUID, error) {
	if before != "" {
		return "", fmt.Errorf("second identifier")
	}
	if len(b) < core.MinDUID || len(b) > core.MaxDUID {
		return "", fmt.Errorf("identifier of %d bytes", len(b))
	}
	return core.DUID(b), nil
}

func parseStatus(b []byte) (status, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("status of %d bytes", len(b))
	}
	return status(binary.BigEndian.Uint16(b)), nil
}

func parseAssociation(b []byte) (association, error) {
	if len(b) < 12 {
		return association{}, fmt.Errorf("association of %d bytes", len(b))
	}
	a := association{id: iaid(b[:4]), t1: binary.BigEndian.Uint32(b[4:]), t2: binary.BigEndian.Uint32(b[8:])}
	list, err := parseOptions(b[12:])
	if err != nil {
		return association{}, err
	}
	if a.t1 > a.t2 && a.t2 > 0 {
		return association{}, fmt.Errorf("T1 of %d s is later than T2 of %d s", a.t1, a.t2)
	}
	for _, o := range list {
		switch o.code {
		case optStatus:
			if a.status, err = parseStatus(o.value); err != nil {
				return association{}, err
			}
		case optIAAddress:
			g, ok, err := parseAddress(o.value)
			if err != nil {
				return association{}, err
			}
			if ok && len(a.addresses) < maxAddresses {
				a.addresses = append(a.addresses, g)
			}
		}
	}
	return a, nil
}

// parseAddress reads an address of an association; ok is false when it is not
// to be used, by its lifetimes, its own status or its nature.
func parseAddress(b []byte) (g given, ok bool, err error) {
	if len(b) < 24 {
		return given{}, false, fmt.Errorf("address of %d bytes", len(b))
	}
	g = given{
		address:   netip.AddrFrom16([16]byte(b)),
		preferred: binary.BigEndian.Uint32(b[16:]),
		valid:     binary.BigEndian.Uint32(b[20:]),
	}
	list, err := parseOptions(b[24:])
	if err != nil {
		return given{}, false, err
	}
	ok = g.preferred <= g.valid && unicast(g.address) && !g.address.IsLinkLocalUnicast()
	if v, found := list.get(optStatus); found {
		s, err := parseStatus(v)
		if err != nil {
			return given{}, false, err
		}
		ok = ok && s == success
	}
	return g, ok, nil
}

// unicast reports whether a host may have the address.
func unicast(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// The options to ask for. RFC 8415, 18.2 has some of them always asked for.
var (
	wanted            = []code{optDNS, optDomains, optSNTP, optNTP, optPortal, optSolMaxRT}
	wantedInformation = []code{optDNS, optDomains, optSNTP, optNTP, optPortal, optRefresh, optInfMaxRT}
)

// query is what a client says.
type query struct {
	kind      kind
	xid       uint32
	elapsed   time.Duration // since the first message of the exchange
	server    core.DUID     // "": all servers
	addresses []netip.Addr  // of the association
}

// identity is what every message of a client carries.
type identity struct {
	duid core.DUID
	iaid iaid
}

// encode makes the message that is sent.
func (id identity) encode(q query) []byte {
	b := binary.BigEndian.AppendUint32(nil, q.xid)
	b[0] = byte(q.kind)
	b = appendOption(b, optClientID, []byte(id.duid)...)
	if q.server != "" {
		b = appendOption(b, optServerID, []byte(q.server)...)
	}
	const tick = 10 * time.Millisecond
	b = appendOption(b, optElapsed, binary.BigEndian.AppendUint16(nil, uint16(min(q.elapsed/tick, 0xffff)))...)
	switch q.kind {
	case information:
		b = appendRequest(b, wantedInformation)
	case solicit, request, renew, rebind:
		b = appendRequest(b, wanted)
	}
	if q.kind == solicit {
		b = appendOption(b, optRapidCommit)
	}
	if q.kind != information {
		b = id.appendAssociation(b, q.addresses)
	}
	return b
}

func appendRequest(b []byte, codes []code) []byte {
	var v []byte
	for _, c := range codes {
		v = binary.BigEndian.AppendUint16(v, uint16(c))
	}
	return appendOption(b, optRequest, v...)
}

// appendAssociation names addresses. All their times are zero: they are the
// server's to say.
func (id identity) appendAssociation(b []byte, addresses []netip.Addr) []byte {
	v := append(id.iaid[:], make([]byte, 8)...)
	for _, a := range addresses {
		v = appendOption(v, optIAAddress, append(a.AsSlice(), make([]byte, 8)...)...)
	}
	return appendOption(b, optIANA, v...)
}
