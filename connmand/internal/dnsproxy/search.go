package dnsproxy

// A single-label name is first looked for in the search domains, in their
// order, and at last as it is. What is found is told as an alias, so that the
// client sees the real name.

// askNextName asks for the name in the next search domain where somebody can be
// asked; after the last one, for the name itself.
func (e *engine) askNextName(f *flight) {
	f.apology = nil
	name := f.key[:f.q.nameEnd()-headerLen]
	for f.search++; f.search < len(e.plan.search); f.search++ {
		domain := e.plan.search[f.search]
		size := len(name) - 1 + len(domain)
		route := e.plan.route(domain)
		if size > maxName || len(e.routes[route]) == 0 {
			continue
		}
		msg := make([]byte, 0, len(f.msg)-len(name)+size)
		msg = append(msg, f.msg[:f.q.nameEnd()-1]...)
		msg = append(msg, domain...)
		msg = append(msg, f.msg[f.q.nameEnd():]...)
		e.ask(f, msg, route)
		return
	}
	f.search = noSearch
	e.ask(f, f.msg, e.plan.route(name))
}

// nameFailed ends the search for one name without an answer.
func (e *engine) nameFailed(f *flight) {
	if f.search == noSearch {
		e.keepFailure(f)
		e.fail(f)
		return
	}
	e.askNextName(f)
}

// found handles an answer about a name in a search domain.
func (e *engine) found(f *flight, msg []byte, r *reply) {
	if r.rcode != 0 || !r.positive {
		e.askNextName(f)
		return
	}
	reply, ok := appendAlias(nil, msg, r, f.msg[:f.q.end])
	if !ok {
		e.askNextName(f)
		return
	}
	if err := parseReply(reply, r); err != nil {
		e.askNextName(f)
		return
	}
	e.settle(f, reply, r)
}

// appendAlias appends a reply to the question: that its name is an alias of
// the name that msg answers, and what msg says of that.
func appendAlias(dst, msg []byte, r *reply, question []byte) ([]byte, bool) {
	dst = append(dst, question...)
	copy(dst, msg[:4])
	dst[2] &^= flagAA
	dst[3] &^= flagAD // nobody signed the alias
	be.PutUint16(dst[4:], 1)
	be.PutUint16(dst[6:], uint16(r.answers+1))
	clear(dst[8:headerLen])

	dst = append(dst, 0xc0, headerLen, 0, typeCNAME, 0, classIN)
	dst = be.AppendUint32(dst, r.ttl)
	dst = appendNameData(dst, msg, headerLen)
	off := r.end
	for range r.answers {
		rr, ok := parseRecord(msg, off)
		if !ok {
			return nil, false
		}
		dst = appendName(dst, msg, off)
		dst = append(dst, msg[rr.ttlAt-4:rr.data-2]...)
		if rr.rtype == typeCNAME || rr.rtype == typeDNAME {
			if end, ok := anyName(msg, rr.data); !ok || end != rr.end {
				return nil, false
			}
			dst = appendNameData(dst, msg, rr.data)
		} else {
			dst = append(dst, msg[rr.data-2:rr.end]...)
		}
		if len(dst) > maxMessage {
			return nil, false
		}
		off = rr.end
	}
	return dst, true
}

// appendNameData appends the valid name at off as a record's data.
func appendNameData(dst, msg []byte, off int) []byte {
	at := len(dst)
	dst = appendName(append(dst, 0, 0), msg, off)
	be.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}
