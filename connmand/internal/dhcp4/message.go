package dhcp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
)

const (
	serverPort = 67
	clientPort = 68

	// maxMessage is the message size that servers are told to keep to: what
	// every host must take, since some servers mistake more for a wish.
	maxMessage = 576

	optPortal = 114 // RFC 8910
	optWPAD   = 252

	broadcastFlag = 0x8000
)

// requested lists the options to ask for. RFC 3442 wants classless routes
// before routers and static routes.
var requested = []byte{1, 121, 3, 6, 12, 15, 26, 28, 33, 42, optPortal, 119, 249, optWPAD}

// kind is a DHCP message type.
type kind = dhcpv4.MessageType

const (
	discover = dhcpv4.MessageTypeDiscover
	offer    = dhcpv4.MessageTypeOffer
	request  = dhcpv4.MessageTypeRequest
	decline  = dhcpv4.MessageTypeDecline
	ack      = dhcpv4.MessageTypeAck
	nak      = dhcpv4.MessageTypeNak
	release  = dhcpv4.MessageTypeRelease
)

// reply is a server's message: an offer, an acknowledgement or a refusal.
type reply struct {
	kind    kind
	xid     uint32
	client  core.HardwareAddr
	server  netip.Addr // its identifier, always valid
	address netip.Addr // what it gives, not checked further
	options dhcpv4.Options
	raw     []byte // the message, to be kept in a file
}

// parseReply reads a server's message. It refuses whatever does not come from
// a server, has no server identifier or breaks off within an option.
func parseReply(b []byte) (reply, error) {
	m, err := dhcpv4.FromBytes(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// Whole options without the end mark. Appending it again tells
		// them from an option cut after its code.
		m, err = dhcpv4.FromBytes(append(bytes.Clone(b), dhcpv4.OptionEnd.Code()))
	}
	switch {
	case err != nil:
		return reply{}, fmt.Errorf("malformed message: %w", err)
	case m.OpCode != dhcpv4.OpcodeBootReply:
		return reply{}, fmt.Errorf("operation %d is not a reply", m.OpCode)
	}
	if err := readOverload(m.Options, b); err != nil {
		return reply{}, err
	}
	r := reply{
		xid:     binary.BigEndian.Uint32(m.TransactionID[:]),
		client:  core.HardwareAddr(m.ClientHWAddr),
		address: netip.AddrFrom4([4]byte(m.YourIPAddr)),
		options: m.Options,
		raw:     b,
	}
	t := m.Options.Get(dhcpv4.OptionDHCPMessageType)
	if len(t) != 1 {
		return reply{}, fmt.Errorf("message type of %d bytes", len(t))
	}
	switch r.kind = kind(t[0]); r.kind {
	case offer, ack, nak:
	default:
		return reply{}, fmt.Errorf("message type %d is no reply", t[0])
	}
	server := m.Options.Get(dhcpv4.OptionServerIdentifier)
	if len(server) != 4 {
		return reply{}, fmt.Errorf("server identifier of %d bytes", len(server))
	}
	if r.server = netip.AddrFrom4([4]byte(server)); !unicast(r.server) {
		return reply{}, fmt.Errorf("server identifier %s", r.server)
	}
	return r, nil
}

// readOverload adds the options that stand in the fields for the boot file and
// the server's name when option 52 says so (RFC 2132, 9.3). b has a whole
// header.
func readOverload(options dhcpv4.Options, b []byte) error {
	const inFile, inName = 1, 2
	v := options.Get(dhcpv4.OptionOptionOverload)
	if v == nil {
		return nil
	}
	if len(v) != 1 || v[0] < inFile || v[0] > inFile|inName {
		return fmt.Errorf("option overload %x", v)
	}
	where := v[0]
	var file, name error
	if where&inFile != 0 {
		file = options.FromBytes(b[108:236])
	}
	if where&inName != 0 {
		name = options.FromBytes(b[44:108])
	}
	if err := errors.Join(file, name); err != nil {
		return fmt.Errorf("malformed overloaded options: %w", err)
	}
	return nil
}

// query is what a client says.
type query struct {
	kind      kind
	xid       uint32
	secs      uint16
	broadcast bool       // asks for the answer as a broadcast
	current   netip.Addr // ciaddr: the address in use; invalid: none
	wanted    netip.Addr // option 50; invalid: none
	server    netip.Addr // option 54; invalid: none
}

// identity is what every message of a client carries.
type identity struct {
	addr        core.HardwareAddr
	hostname    string
	vendorClass string
}

// encode makes the message that is sent.
func (id identity) encode(q query) []byte {
	m := dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       1,
		NumSeconds:   q.secs,
		ClientHWAddr: net.HardwareAddr(id.addr),
		Options:      dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], q.xid)
	if q.broadcast {
		m.Flags = broadcastFlag
	}
	set := func(code dhcpv4.OptionCode, value []byte) { m.Options[code.Code()] = value }
	set(dhcpv4.OptionDHCPMessageType, []byte{byte(q.kind)})
	// Ethernet's hardware type before the address: RFC 2132, 9.14.
	set(dhcpv4.OptionClientIdentifier, append([]byte{1}, id.addr...))
	if q.current.IsValid() {
		m.ClientIPAddr = q.current.AsSlice()
	}
	if q.wanted.IsValid() {
		set(dhcpv4.OptionRequestedIPAddress, q.wanted.AsSlice())
	}
	if q.server.IsValid() {
		set(dhcpv4.OptionServerIdentifier, q.server.AsSlice())
	}
	if q.kind == discover || q.kind == request {
		set(dhcpv4.OptionMaximumDHCPMessageSize, binary.BigEndian.AppendUint16(nil, maxMessage))
		set(dhcpv4.OptionParameterRequestList, requested)
		if id.hostname != "" {
			set(dhcpv4.OptionHostName, []byte(id.hostname))
		}
		if id.vendorClass != "" {
			set(dhcpv4.OptionClassIdentifier, []byte(id.vendorClass))
		}
	}
	return m.ToBytes()
}

// unicast reports whether a host may have the address.
func unicast(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() &&
		a.As4()[0] != 0 && a.As4()[0] < 240
}
