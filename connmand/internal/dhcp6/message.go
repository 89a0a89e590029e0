package dhcp6

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
)

const (
	clientPort = 546
	serverPort = 547

	headerLen = 4
	maxGiven  = 16 // by an association
)

// The prefixes that are of use, in bits: one shorter than an allocation of the
// registries is a mistake, and one longer has no room for hosts that make
// their own addresses.
const minDelegated, maxDelegated = 16, 64

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
	noPrefixes  status = 6
)

// iaid tells a client's associations of one sort apart. This client has one of
// each sort, both with the same number.
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
	delegation bool // of prefixes, not addresses
	id         iaid
	t1, t2     uint32 // seconds; 0 leaves it to the client
	status     status
	given      []given
}

// gives reports whether there is anything in it to use.
func (a association) gives() bool {
	return a.status == success && slices.ContainsFunc(a.given, func(g given) bool { return g.valid > 0 })
}

// binding is what a server gives the use of: an address, which is a prefix of
// 128 bits here, or a delegated prefix.
type binding struct {
	prefix    netip.Prefix
	delegated bool
}

// addressBinding is the binding of an address.
func addressBinding(a netip.Addr) binding { return binding{prefix: netip.PrefixFrom(a, a.BitLen())} }

// given is a binding with its lifetimes, seconds from the moment it was asked
// for.
type given struct {
	binding
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

// grants returns the associations of a client's in which r gives it something
// that it wants or takes that away, and why another was refused.
func (r reply) grants(id iaid, wants wishes) (list []association, refusal status) {
	if r.status != success {
		return nil, r.status
	}
	for _, a := range r.associations {
		again := func(other association) bool { return other.delegation == a.delegation }
		switch {
		case a.id != id || !wants.has(a.delegation) || slices.ContainsFunc(list, again):
		case a.status != success:
			refusal = a.status
		case len(a.given) > 0:
			list = append(list, a)
		}
	}
	return list, refusal
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
	case optIANA, optIAPD:
		var a association
		if a, err = parseAssociation(o.value, o.code == optIAPD); err == nil && (a.t1 <= a.t2 || a.t2 == 0) {
			// One with T1 after T2 counts as if it were not there (RFC 8415, 21.4).
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

func parseAssociation(b []byte, delegation bool) (association, error) {
	if len(b) < 12 {
		return association{}, fmt.Errorf("association of %d bytes", len(b))
	}
	a := association{
		delegation: delegation,
		id:         iaid(b[:4]), t1: binary.BigEndian.Uint32(b[4:]), t2: binary.BigEndian.Uint32(b[8:]),
	}
	inner, parse := optIAAddress, parseAddress
	if delegation {
		inner, parse = optIAPrefix, parsePrefix
	}
	list, err := parseOptions(b[12:])
	if err != nil {
		return association{}, err
	}
	for _, o := range list {
		switch o.code {
		case optStatus:
			if a.status, err = parseStatus(o.value); err != nil {
				return association{}, err
			}
		case inner:
			g, ok, err := parse(o.value)
			if err != nil {
				return association{}, err
			}
			if ok && len(a.given) < maxGiven {
				a.given = append(a.given, g)
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
	address := netip.AddrFrom16([16]byte(b))
	g = given{addressBinding(address), binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])}
	ok, err = g.usable(b[24:])
	return g, ok && unicast(address) && !address.IsLinkLocalUnicast(), err
}

// parsePrefix reads a prefix of an association, as parseAddress does an address.
func parsePrefix(b []byte) (g given, ok bool, err error) {
	if len(b) < 25 {
		return given{}, false, fmt.Errorf("prefix of %d bytes", len(b))
	}
	bits, address := int(b[8]), netip.AddrFrom16([16]byte(b[9:]))
	if bits > address.BitLen() {
		return given{}, false, fmt.Errorf("prefix of %d bits", bits)
	}
	prefix := netip.PrefixFrom(address, bits).Masked()
	g = given{binding{prefix, true}, binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
	ok, err = g.usable(b[25:])
	return g, ok && bits >= minDelegated && bits <= maxDelegated && unicast(prefix.Addr()) && !address.IsLinkLocalUnicast(), err
}

// usable judges g by its lifetimes and by the options that came with it.
func (g given) usable(more []byte) (bool, error) {
	list, err := parseOptions(more)
	if err != nil {
		return false, err
	}
	s := success
	if v, found := list.get(optStatus); found {
		if s, err = parseStatus(v); err != nil {
			return false, err
		}
	}
	return s == success && g.preferred <= g.valid, nil
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
	kind     kind
	xid      uint32
	elapsed  time.Duration // since the first message of the exchange
	server   core.DUID     // "": all servers
	wants    wishes        // named also where there is no binding of it yet
	bindings []binding
}

// wishes are what a client wants besides configuration.
type wishes struct{ addresses, prefixes bool }

func (w wishes) any() bool { return w.addresses || w.prefixes }

// has reports whether an association of addresses or prefixes is wanted.
func (w wishes) has(delegation bool) bool {
	if delegation {
		return w.prefixes
	}
	return w.addresses
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
	b = id.appendAssociation(b, q, false)
	return id.appendAssociation(b, q, true)
}

func appendRequest(b []byte, codes []code) []byte {
	var v []byte
	for _, c := range codes {
		v = binary.BigEndian.AppendUint16(v, uint16(c))
	}
	return appendOption(b, optRequest, v...)
}

// appendAssociation names bindings of one sort. All their times are zero: they
// are the server's to say.
func (id identity) appendAssociation(b []byte, q query, delegation bool) []byte {
	v := append(id.iaid[:], make([]byte, 8)...)
	named := false
	for _, g := range q.bindings {
		switch {
		case g.delegated != delegation:
			continue
		case delegation:
			times := append(make([]byte, 8), byte(g.prefix.Bits()))
			v = appendOption(v, optIAPrefix, append(times, g.prefix.Addr().AsSlice()...)...)
		default:
			v = appendOption(v, optIAAddress, append(g.prefix.Addr().AsSlice(), make([]byte, 8)...)...)
		}
		named = true
	}
	if !named && !q.wants.has(delegation) {
		return b
	}
	if delegation {
		return appendOption(b, optIAPD, v...)
	}
	return appendOption(b, optIANA, v...)
}
