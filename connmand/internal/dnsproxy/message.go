package dnsproxy

import (
	"encoding/binary"
	"errors"
)

// The message format of RFC 1035, section 4, as far as a proxy needs it: it
// finds its way through messages and never takes them apart.
const (
	headerLen  = 12
	maxName    = 255 // bytes on the wire, the final zero included
	maxMessage = 65535
	maxHops    = 32 // compression pointers in one name

	classIN = 1

	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typePTR   = 12
	typeMX    = 15
	typeAAAA  = 28
	typeSRV   = 33
	typeDNAME = 39
	typeOPT   = 41
	typeRRSIG = 46
	typeTKEY  = 249
	typeTSIG  = 250
	typeIXFR  = 251
	typeAXFR  = 252
	typeANY   = 255

	rcodeFormErr  = 1
	rcodeServFail = 2
	rcodeNXDomain = 3
	rcodeNotImp   = 4
	rcodeRefused  = 5

	optionCookie  = 10 // RFC 7873
	optionPadding = 12 // RFC 7830
)

// Bits of the header's third and fourth byte.
const (
	flagQR     = 0x80
	maskOpcode = 0x78
	flagAA     = 0x04
	flagTC     = 0x02
	flagRD     = 0x01

	flagRA    = 0x80
	flagAD    = 0x20
	flagCD    = 0x10
	maskRcode = 0x0f
)

var be = binary.BigEndian

// query says what is special about a client's message.
type query struct {
	end   int // of the question section
	qtype uint16
	class uint16
	edns  bool   // carries an OPT record (RFC 6891)
	do    bool   // wants DNSSEC records (RFC 3225)
	size  uint16 // largest reply over UDP
	// options is where the length of the OPT record's options is, and padded
	// says that one of them is padding.
	options int
	padded  bool
	// solo says that the answer is for this client alone: it depends on more
	// than the question, or we don't understand all of it.
	solo bool
}

// nameEnd is where the name asked for ends.
func (q *query) nameEnd() int { return q.end - 4 }

// verdict says what to do with a client's message.
type verdict int

const (
	serve    verdict = iota
	ignore           // no query at all: an answer could start an endless exchange
	badQuery         // to be answered with FORMERR; the header is whole
	otherOp          // to be answered with NOTIMP
)

// parseQuery checks a client's message. When it says badQuery, q.end is that of
// the question if this could be read, else that of the header.
func parseQuery(msg []byte, q *query) verdict {
	*q = query{end: headerLen, size: 512}
	if len(msg) < headerLen || msg[2]&flagQR != 0 {
		return ignore
	}
	if msg[2]&maskOpcode != 0 {
		return otherOp
	}
	if be.Uint16(msg[4:]) != 1 || be.Uint32(msg[6:]) != 0 {
		return badQuery
	}
	end, ok := plainName(msg, headerLen)
	if !ok || len(msg)-end < 4 {
		return badQuery
	}
	q.qtype = be.Uint16(msg[end:])
	q.class = be.Uint16(msg[end+2:])
	q.end = end + 4
	switch q.qtype {
	case typeOPT, typeTKEY, typeTSIG, typeIXFR, typeAXFR:
		return otherOp
	}
	off := q.end
	for range be.Uint16(msg[10:]) {
		rr, ok := parseRecord(msg, off)
		if !ok {
			return badQuery
		}
		if rr.rtype != typeOPT {
			q.solo = true // a signature, most likely
		} else if q.edns || msg[off] != 0 {
			return badQuery // RFC 6891, section 6.1.1: one, for the root
		} else {
			q.edns = true
			q.size = max(q.size, rr.class)
			q.do = rr.ttl&0x8000 != 0
			q.options = rr.data - 2
			plain, padded := knownOptions(msg[rr.data:rr.end])
			q.padded = padded
			if rr.ttl&^0x8000 != 0 || !plain {
				q.solo = true
			}
		}
		off = rr.end
	}
	if off != len(msg) {
		return badQuery
	}
	return serve
}

// knownOptions reports whether none of the EDNS options can change the answer,
// as the client's subnet does (RFC 7871), and whether one of them is padding.
func knownOptions(b []byte) (plain, padded bool) {
	for len(b) >= 4 {
		n := int(be.Uint16(b[2:]))
		o := be.Uint16(b)
		if o != optionCookie && o != optionPadding || len(b)-4 < n {
			return false, padded
		}
		padded = padded || o == optionPadding
		b = b[4+n:]
	}
	return len(b) == 0, padded
}

// plainName returns the end of a name without compression.
func plainName(msg []byte, off int) (end int, ok bool) {
	start := off
	for off < len(msg) {
		c := int(msg[off])
		off += 1 + c
		switch {
		case c > 63 || off-start > maxName:
			return 0, false
		case c == 0:
			return off, true
		}
	}
	return 0, false
}

// anyName returns the end of a name at off that may be compressed. It follows
// all pointers: once it says ok, label may be used on the name.
func anyName(msg []byte, off int) (end int, ok bool) {
	total, hops, limit := 0, 0, off
	for off < len(msg) {
		c := int(msg[off])
		switch {
		case c == 0:
			if hops == 0 {
				end = off + 1
			}
			return end, total < maxName
		case c < 0x40:
			off += 1 + c
			total += 1 + c
		case c >= 0xc0:
			if off+1 >= len(msg) {
				return 0, false
			}
			if hops == 0 {
				end = off + 2
			}
			// Only backwards, so that it comes to an end.
			off = int(be.Uint16(msg[off:]) & 0x3fff)
			if hops++; off >= limit || off < headerLen || hops > maxHops {
				return 0, false
			}
			limit = off
		default:
			return 0, false
		}
		if total >= maxName {
			return 0, false
		}
	}
	return 0, false
}

// label returns the first label of the valid name at off, empty for the root,
// and where the rest of the name is.
func label(msg []byte, off int) (text []byte, rest int) {
	for msg[off] >= 0xc0 {
		off = int(be.Uint16(msg[off:]) & 0x3fff)
	}
	rest = off + 1 + int(msg[off])
	return msg[off+1 : rest], rest
}

// sameName compares two valid names in one message, regardless of letter case.
func sameName(msg []byte, a, b int) bool {
	for a != b {
		var x, y []byte
		x, a = label(msg, a)
		y, b = label(msg, b)
		if !equalFold(x, y) {
			return false
		}
		if len(x) == 0 {
			return true
		}
	}
	return true
}

// below reports whether name is ancestor or lies below it.
func below(msg []byte, name, ancestor int) bool {
	for n := labels(msg, name) - labels(msg, ancestor); n != 0; n-- {
		if n < 0 {
			return false
		}
		_, name = label(msg, name)
	}
	return sameName(msg, name, ancestor)
}

// labels counts the labels of the valid name at off.
func labels(msg []byte, off int) (n int) {
	for {
		text, rest := label(msg, off)
		if len(text) == 0 {
			return n
		}
		n++
		off = rest
	}
}

// appendName appends the valid name at off without compression.
func appendName(dst, msg []byte, off int) []byte {
	for {
		l, rest := label(msg, off)
		dst = append(dst, byte(len(l)))
		if len(l) == 0 {
			return dst
		}
		dst = append(dst, l...)
		off = rest
	}
}

// lower returns the ASCII letter c in lower case. Lengths of labels are below
// the letters, so that whole names may go through it.
func lower(c byte) byte {
	if c-'A' < 26 {
		c += 'a' - 'A'
	}
	return c
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

// record is one resource record, as offsets into its message.
type record struct {
	rtype, class uint16
	ttl          uint32
	ttlAt        int
	data, end    int
}

// parseRecord reads the record at off, whose owner it checks.
func parseRecord(msg []byte, off int) (rr record, ok bool) {
	off, ok = anyName(msg, off)
	if !ok || len(msg)-off < 10 {
		return rr, false
	}
	rr = record{
		rtype: be.Uint16(msg[off:]),
		class: be.Uint16(msg[off+2:]),
		ttl:   be.Uint32(msg[off+4:]),
		ttlAt: off + 4,
		data:  off + 10,
	}
	rr.end = rr.data + int(be.Uint16(msg[off+8:]))
	return rr, rr.end <= len(msg)
}

var (
	errShort    = errors.New("the message is cut off")
	errCounts   = errors.New("the message does not hold what its header counts")
	errRecord   = errors.New("a record is malformed")
	errStranger = errors.New("the answer is about another name")
)
