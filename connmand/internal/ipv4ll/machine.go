package ipv4ll

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
)

// The numbers of RFC 3927, 9.
const (
	maxConflicts = 10
	rateLimit    = 60 * time.Second
)

// Addresses range from the first to the last, RFC 3927, 2.1: the 256 before
// and after are reserved.
const (
	first = 169<<24 | 254<<16 | 1<<8
	last  = 169<<24 | 254<<16 | 254<<8 | 255
)

// event is what happens to a machine.
type event interface{ machineEvent() }

type (
	begin struct{ last netip.Addr } // last is tried first if it is link-local
	tick  struct{}                  // the time that next holds has come
	free  struct{}                  // the address that is being claimed is
	taken struct{ conflict core.Conflict }
)

func (begin) machineEvent() {}
func (tick) machineEvent()  {}
func (free) machineEvent()  {}
func (taken) machineEvent() {}

// machine claims an address on one link. Which one it watches is in address.
type machine struct {
	rand *rand.Rand // the same for the same link, so that addresses last

	address   netip.Addr // claimed or in use; invalid: none
	bound     bool
	conflicts int
	next      time.Time // when to choose another; zero: never
}

func newMachine(link core.Link) machine {
	h := fnv.New64a()
	h.Write([]byte(link.Addr))
	return machine{rand: rand.New(rand.NewPCG(h.Sum64(), 0))}
}

// Step tells the machine what happened and returns what to report, nil
// nothing.
func (m *machine) Step(now time.Time, e event) core.LinkLocalEvent {
	switch e := e.(type) {
	case begin:
		if m.address = e.last; !usable(e.last) {
			m.choose()
		}
	case tick:
		if !m.next.IsZero() && !now.Before(m.next) {
			m.next = time.Time{}
			m.choose()
		}
	case free:
		if m.address.IsValid() && !m.bound {
			m.bound = true
			return core.LinkLocalBound{Address: m.address}
		}
	case taken:
		if e.conflict.Address == m.address {
			return m.taken(now, e.conflict)
		}
	}
	return nil
}

// taken goes on to another address, slowly after many conflicts.
func (m *machine) taken(now time.Time, c core.Conflict) core.LinkLocalEvent {
	had := m.bound
	m.bound = false
	if m.conflicts++; m.conflicts < maxConflicts {
		m.choose()
	} else {
		m.address = netip.Addr{}
		m.next = now.Add(rateLimit)
	}
	if had {
		return core.LinkLocalLost{Conflict: c}
	}
	return nil
}

// choose takes another address than the present one.
func (m *machine) choose() {
	for former := m.address; m.address == former; {
		v := first + m.rand.Uint32N(last-first+1)
		m.address = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v)))
	}
}

// usable reports whether a is in the range of addresses to choose from.
func usable(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	b := a.As4()
	v := binary.BigEndian.Uint32(b[:])
	return first <= v && v <= last
}
