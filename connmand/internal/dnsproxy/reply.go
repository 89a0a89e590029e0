package dnsproxy

// reply says what a server's message holds.
type reply struct {
	qtype    uint16
	end      int // of the question section
	rcode    int // with the bits that EDNS adds
	answers  int // records in the answer section
	positive bool
	// keep says that the message may be kept, for ttl seconds.
	keep bool
	ttl  uint32
	// ttls are the offsets of all times to live but that of OPT, which ends
	// the message if there is one.
	ttls []uint16
	cut  int // where the OPT record begins, else the message's length
}

// parseReply checks a message whose question was found to be ours. r.ttls is
// reused.
func parseReply(msg []byte, r *reply) error {
	*r = reply{ttls: r.ttls[:0], cut: len(msg)}
	if len(msg) < headerLen {
		return errShort
	}
	name, ok := plainName(msg, headerLen)
	if !ok || be.Uint16(msg[4:]) != 1 || len(msg)-name < 4 {
		return errCounts
	}
	r.qtype = be.Uint16(msg[name:])
	r.end = name + 4
	r.rcode = int(msg[3] & maskRcode)
	r.answers = int(be.Uint16(msg[6:]))

	c := chain{msg: msg, qtype: r.qtype, target: headerLen}
	off := r.end
	least := ^uint32(0)
	for range r.answers {
		rr, ok := parseRecord(msg, off)
		if !ok {
			return errRecord
		}
		if !c.add(off, &rr) {
			return errStranger
		}
		least = min(least, r.note(&rr))
		off = rr.end
	}
	r.positive = c.complete
	denied, soa := uint32(0), false
	for range be.Uint16(msg[8:]) {
		rr, ok := parseRecord(msg, off)
		if !ok {
			return errRecord
		}
		ttl := r.note(&rr)
		least = min(least, ttl)
		// RFC 2308, section 5: the zone says for how long a name is missing.
		if rr.rtype == typeSOA && below(msg, c.target, off) {
			if rr.end-rr.data < 22 {
				return errRecord
			}
			denied, soa = min(ttl, be.Uint32(msg[rr.end-4:])), true
		}
		off = rr.end
	}
	off, ok = r.additional(msg, off)
	if !ok || off != len(msg) {
		return errCounts
	}
	if !r.positive || r.rcode != 0 {
		least = min(least, denied, maxNegativeTTL)
	}
	r.ttl = least
	r.keep = (r.positive && r.rcode == 0 || soa) && (r.rcode == 0 || r.rcode == rcodeNXDomain) && msg[2]&flagTC == 0 && r.cut >= 0
	if r.cut < 0 {
		r.cut = len(msg)
	}
	return nil
}

// maxNegativeTTL is the bound of RFC 2308, section 5, in seconds.
const maxNegativeTTL = 3 * 60 * 60

// note remembers where a record's time to live is, and returns it.
func (r *reply) note(rr *record) uint32 {
	r.ttls = append(r.ttls, uint16(rr.ttlAt))
	if rr.ttl > 1<<31-1 {
		return 0 // RFC 2181, section 8
	}
	return rr.ttl
}

// additional reads the last section.
func (r *reply) additional(msg []byte, off int) (end int, ok bool) {
	for range be.Uint16(msg[10:]) {
		rr, ok := parseRecord(msg, off)
		switch {
		case !ok || rr.rtype == typeOPT && (r.cut < len(msg) || msg[off] != 0):
			return 0, false
		case rr.rtype == typeOPT:
			r.cut = off
			r.rcode |= int(rr.ttl>>24) << 4
		default:
			r.note(&rr)
		}
		if rr.rtype == typeTSIG || r.cut < off {
			r.cut = -1 // cannot be kept: signed, or OPT is in the midst
		}
		off = rr.end
	}
	return off, true
}

// chain follows an answer from the name asked for over its aliases, so that no
// record about any other name gets in.
type chain struct {
	msg      []byte
	qtype    uint16
	target   int // the name that the next records must be about
	earlier  [12]int
	aliases  int
	strays   int  // records not about target
	complete bool // the question's type was answered
}

// maxStrays are more than any honest answer has.
const maxStrays = 256

// add takes the answer section's next record and reports whether it belongs
// there.
func (c *chain) add(owner int, rr *record) bool {
	if rr.rtype == typeDNAME || rr.rtype == typeRRSIG {
		// RFC 6672: the alias of a whole domain comes before the name's own,
		// and signatures after.
		if below(c.msg, c.target, owner) {
			c.complete = c.complete || rr.rtype == c.qtype
			return true
		}
	}
	if !sameName(c.msg, owner, c.target) {
		// What was said of a name before its alias, such as a signature. To
		// look for it takes time, of which a server gets only so much.
		if c.strays++; c.strays > maxStrays {
			return false
		}
		for _, name := range c.earlier[:c.aliases] {
			if sameName(c.msg, owner, name) || rr.rtype == typeRRSIG && below(c.msg, name, owner) {
				return rr.rtype != typeCNAME
			}
		}
		return false
	}
	if rr.rtype == c.qtype || c.qtype == typeANY {
		c.complete = true
		return true
	}
	if rr.rtype == typeCNAME {
		if end, ok := anyName(c.msg, rr.data); !ok || end != rr.end || c.aliases == len(c.earlier) {
			return false
		}
		c.earlier[c.aliases] = c.target
		c.aliases++
		c.target = rr.data
	}
	return true
}
