package resolver

import (
	"context"
	"net/netip"

	"net.connman/pkg/loop"
)

// listening is a state of the listeners.
type listening uint8

const (
	closed listening = iota
	opening
	opened
	failed // somebody else has the port
	closing
)

// The addresses that programs find in resolv.conf, in this order: there is
// always IPv4 on the loopback.
var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// listeners are the proxy's sockets for this machine's programs. Opening and
// closing them happens off the loop; each end of it has the resolver look
// again.
type listeners struct {
	r         *Resolver
	state     listening
	wanted    bool
	stops     []func()
	addresses []netip.Addr // that are served
	told      bool         // that the port is taken was logged
}

// open reports whether the sockets are open, and sees to it that they will be.
func (s *listeners) open() bool {
	s.wanted = true
	if s.state == closed {
		s.state = opening
		loop.Go(s.r.Loop, "open the DNS proxy", s.listen, s.listens)
	}
	return s.state == opened
}

// failed reports whether the port was found taken.
func (s *listeners) failed() bool { return s.state == failed }

// retry has a taken port tried again.
func (s *listeners) retry() {
	if s.state == failed {
		s.state = closed
	}
}

// close gives the port back.
func (s *listeners) close() {
	s.wanted = false
	s.retry()
	if s.state != opened {
		return
	}
	s.state = closing
	stops := s.stops
	stop := func(context.Context) (struct{}, error) {
		for _, stop := range stops {
			stop()
		}
		return struct{}{}, nil
	}
	loop.Go(s.r.Loop, "close the DNS proxy", stop, func(struct{}, error) {
		s.state = closed
		s.r.apply()
	})
}

// sockets are what listen opened.
type sockets struct {
	stops     []func()
	addresses []netip.Addr
}

// listen opens the sockets. Without IPv6, which a machine may lack, it goes on.
func (s *listeners) listen(context.Context) (sockets, error) {
	var all sockets
	stop, err := s.r.Server.Listen(netip.AddrPortFrom(loopback4, port), "")
	if err != nil {
		return all, err
	}
	all.stops, all.addresses = append(all.stops, stop), append(all.addresses, loopback4)
	stop, err = s.r.Server.Listen(netip.AddrPortFrom(loopback6, port), "")
	if err != nil {
		s.r.Log.Debug("the DNS proxy does without IPv6", "err", err)
		return all, nil
	}
	all.stops, all.addresses = append(all.stops, stop), append(all.addresses, loopback6)
	return all, nil
}

// listens draws the conclusions of listen.
func (s *listeners) listens(got sockets, err error) {
	switch {
	case err == nil:
		if s.told {
			s.r.Log.Info("the DNS proxy serves this machine now")
		}
		s.state, s.stops, s.addresses, s.told = opened, got.stops, got.addresses, false
	case s.told:
		s.state = failed
	default:
		s.state, s.told = failed, true
		s.r.Log.Warn("no DNS proxy: resolv.conf names the networks' servers instead, until the port is free when they next change", "err", err)
	}
	if !s.wanted {
		s.close()
	}
	s.r.apply()
}
