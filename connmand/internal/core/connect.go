package core

import (
	"errors"
	"slices"
	"time"
)

// connectTimeout is how long an attempt to connect may take.
const connectTimeout = 120 * time.Second

// Connect connects the service because the user wants it; done hears when it
// is connected or why it is not. caller is the unique bus name of the user's
// program, "" if there is none.
func (s *Service) Connect(caller string, done func(error)) {
	if s.pending != nil {
		done(ErrInProgress)
		return
	}
	s.ignore = false
	s.caller = caller
	if err := s.connect(reasonUser); err != nil {
		done(err)
		return
	}
	s.pending = done
}

func (s *Service) connect(reason connectReason) error {
	switch {
	case s.m.stopping:
		return ErrAborted
	case s.state.Connected():
		return ErrAlreadyConnected
	case s.state.Connecting(), s.state == Disconnect:
		return ErrInProgress
	case !s.ipv4.enabled() && !s.ipv6.enabled(), !s.network.device.powered:
		return ErrNoCarrier
	}
	if err := s.access.unable(); err != nil {
		return err
	}
	if s.access.mustAsk(reason) {
		if reason != reasonUser {
			return ErrPassphraseRequired
		}
		return s.access.question()
	}
	if s.takeDevice(reason) {
		return nil
	}
	if s.vpn != nil {
		if s.vpn.uplink = s.m.uplink(); s.vpn.uplink == nil {
			return ErrNoCarrier
		}
	}
	s.begin(reason)
	s.join()
	return nil
}

// begin starts an attempt to connect.
func (s *Service) begin(reason connectReason) {
	s.cancelReport()
	s.setFailure(NoFailure)
	s.reason = reason
	if s.vpn != nil {
		s.m.wish(s.id, s.network.info.VPN.Host)
	}
	s.timeout = s.m.loop.After("connect timeout", connectTimeout, func() {
		s.m.log.Warn("cannot connect in time", "service", s.id, "waits for", s.Why())
		s.answer(ErrTimeout)
		s.fail(ConnectFailed)
	})
}

// join has the network joined on the link level and then configured.
func (s *Service) join() {
	if s.network.driver == nil {
		s.configure()
		return
	}
	s.setStates(Association, "connect")
	credentials := s.access.credentials()
	credentials.Caller, s.caller = s.caller, ""
	s.network.driver.Connect(credentials, func(err error) {
		switch {
		case s.state != Association:
		case errors.Is(err, ErrAborted):
			s.refusedByUser()
		case errors.Is(err, ErrRejected):
			s.m.log.Warn("network rejects the credentials", "service", s.id)
			s.fail(s.access.refused())
		case err != nil:
			s.m.log.Warn("cannot join network", "service", s.id, "err", err)
			s.fail(ConnectFailed)
		default:
			s.configure()
		}
	})
}

// configure has both families find their addresses.
func (s *Service) configure() {
	if s.ipv4.enabled() {
		s.ipv4.start()
	}
	s.ipv6.start()
}

// refusedByUser follows that the user does not want to say what the network asks
// for. Asking again by itself would be a nuisance.
func (s *Service) refusedByUser() {
	s.m.unwish(s.id)
	if s.AutoConnect() {
		_ = s.SetAutoConnect(false) // which can only fail for services that are no favourites
	}
	s.abandon("the user does not want to")
}

// clear forgets what was found for both families.
func (s *Service) clear() {
	if s.vpn != nil {
		s.vpn.close()
	}
	s.ipv4.clear()
	s.ipv6.clear()
}

// part leaves the network on the link level.
func (s *Service) part() {
	s.access.endSetup()
	if s.network.driver != nil {
		s.network.driver.Disconnect()
	}
}

// Disconnect disconnects the service because the user wants it; it does not
// connect by itself again until the user connects it or its network comes
// anew.
func (s *Service) Disconnect(done func(error)) {
	s.ignore = true
	s.m.unwish(s.id)
	s.retry.stop()
	s.withdraw()
	switch {
	case s.state.Connected(), s.state.Connecting():
		s.leave("user", func() { done(nil) })
	case s.state == Disconnect:
		s.leaving = append(s.leaving, func() { done(nil) })
	default:
		done(ErrNotConnected)
	}
}

// leave goes by way of disconnect to idle; left runs once the kernel has
// nothing of the service any more.
func (s *Service) leave(reason string, left func()) {
	s.leaving = append(s.leaving, left)
	s.endProtocols(true)
	s.setFailure(NoFailure)
	s.answer(ErrAborted)
	s.setStates(Disconnect, reason)
	waiting := 1
	gone := func(error) {
		if waiting--; waiting == 0 {
			s.left(reason)
		}
	}
	if d, ok := s.network.driver.(SlowDriver); ok {
		waiting++
		d.Leave(func() { gone(nil) })
	} else {
		s.part()
	}
	s.clear()
	s.applyLink(gone)
}

func (s *Service) left(reason string) {
	if s.state != Disconnect {
		return
	}
	s.setStates(Idle, reason)
	leaving := s.leaving
	s.leaving = nil
	for _, left := range leaving {
		left()
	}
	s.m.autoConnect()
}

// abandon ends the connection at once, because what carried it is gone.
func (s *Service) abandon(reason string) {
	s.retry.stop()
	s.cancelReport()
	s.withdraw()
	if s.state.Connected() || s.state.Connecting() {
		s.endProtocols(false)
		s.answer(ErrAborted)
		s.setStates(Disconnect, reason)
		s.part()
		s.clear()
		s.applyLink(nil)
	}
	if s.state == Disconnect {
		s.left(reason)
	}
	s.setFailure(NoFailure)
	if s.state == Failed {
		s.setStates(Idle, reason)
	}
}

// fail ends the attempt or the connection in the failure state. A service that
// connects by itself tries again, ever more slowly but for ever.
func (s *Service) fail(reason Failure) {
	if !s.state.Connected() && !s.state.Connecting() {
		return
	}
	s.endProtocols(false)
	s.part()
	s.clear()
	s.applyLink(nil)
	if w := s.m.wishes[s.id]; w != nil && !w.served && !s.AutoConnect() {
		s.m.unwish(s.id)
	}
	s.refuse(reason)
}

// refuse goes to the failure state.
func (s *Service) refuse(reason Failure) {
	s.setFailure(reason)
	s.setStates(Failed, string(reason))
	if s.reason == reasonUser && s.reportFailure() {
		return
	}
	s.answer(ErrFailed)
	s.retry.schedule()
}

// reportFailure asks the user's agent, if there is one, whether to try again.
// The caller of Connect is answered after that.
func (s *Service) reportFailure() (asked bool) {
	cancel, asked := s.m.agents.reportError(s, func(again bool) {
		s.report = nil
		if s.state != Failed {
			return
		}
		if again {
			if err := s.connect(reasonUser); err != nil {
				s.answer(err)
			}
			return
		}
		s.setFailure(NoFailure)
		s.setStates(Idle, "error acknowledged")
		s.answer(ErrFailed)
		s.retry.schedule()
	})
	s.report = cancel
	return asked
}

func (s *Service) cancelReport() {
	if s.report != nil {
		s.report()
		s.report = nil
	}
}

// ClearError acknowledges a failure: the service is idle again.
func (s *Service) ClearError() {
	s.setFailure(NoFailure)
	if s.state == Failed {
		s.setStates(Idle, "error cleared")
		s.m.autoConnect()
	}
}

// Remove forgets a service that the user connected once. Wired services and
// provisioned ones cannot be forgotten.
func (s *Service) Remove() error {
	if s.kind == Ethernet || s.kind == Gadget || s.fixed() || s.network.info.VPN.Immutable {
		return ErrNotSupported
	}
	if !s.favorite && s.state != Idle && s.state != Failed {
		return ErrNotSupported
	}
	s.m.unwish(s.id)
	s.forget("removed by the user")
	if s.m.cfg.SettingsFollowNetwork {
		s.m.ports.Storage.RemoveTwins(s.id)
	}
	return nil
}

// forget leaves the service as one that was never connected.
func (s *Service) forget(reason string) {
	s.abandon(reason)
	s.favorite, s.stored, s.settingsDirty = false, false, false
	s.settings.Passphrase, s.settings.Identity = "", ""
	s.access = access{s: s}
	s.mark(PropFavorite)
	s.mark(PropAutoConnect)
	s.m.ports.Storage.RemoveService(s.id)
	s.m.settle.order = true
}

// shutdown disconnects the service because the daemon ends.
func (s *Service) shutdown(done func()) {
	s.retry.stop()
	switch {
	case s.state.Connected(), s.state.Connecting():
		s.leave("daemon ends", done)
	case s.state == Disconnect:
		s.leaving = append(s.leaving, done)
	default:
		done()
	}
}

// endProtocols stops everything that runs for the connection.
func (s *Service) endProtocols(release bool) {
	s.cancelReport()
	s.timeout.Stop()
	s.online.stop()
	s.ipv4.stop(release)
	s.ipv6.stop(release)
	s.applied.waiting = nil
}

// answer answers the caller of Connect, if one waits.
func (s *Service) answer(err error) {
	if done := s.pending; done != nil {
		s.pending = nil
		done(err)
	}
}

func (s *Service) setFailure(f Failure) {
	if s.failure != f {
		s.failure = f
		s.mark(PropError)
	}
}

// setFamilyState moves one family to a new state if that step is legal.
func (s *Service) setFamilyState(state *State, new State, family, reason string) bool {
	old := *state
	if old == new {
		return false
	}
	if !slices.Contains(next[old], new) {
		s.m.log.Error("illegal state change refused",
			"service", s.id, "family", family, "from", old, "to", new, "reason", reason)
		return false
	}
	*state = new
	return true
}

// setStates moves both families to a new state, without a step between. A
// family that is idle only joins what begins with association.
func (s *Service) setStates(new State, reason string) {
	moved := false
	move := func(state *State, enabled bool, family string) {
		if *state != Idle || new == Association && enabled {
			moved = s.setFamilyState(state, new, family, reason) || moved
		}
	}
	move(&s.ipv4.state, s.ipv4.enabled(), "ipv4")
	move(&s.ipv6.state, s.ipv6.enabled(), "ipv6")
	if moved {
		s.updateState(reason)
	}
}

// updateState makes the service's state what its families' states say, and
// does what has to be done on entry.
func (s *Service) updateState(reason string) {
	old, new := s.state, combine(s.ipv4.state, s.ipv6.state)
	if old == new {
		return
	}
	s.m.log.Debug("service state", "service", s.id, "from", old, "to", new, "reason", reason)
	s.state = new
	s.markState()
	change := old.Connected() != new.Connected()
	if change {
		s.mark(PropTimeservers)
		s.mark(PropDomains)
		s.mark(PropProxy)
	}
	if !old.Connected() && new.Connected() {
		s.connected()
	}
	if t := s.m.Technology(s.kind); t != nil {
		t.updateConnected()
	}
	s.m.markManagerState()
	if change {
		s.mark(PropIPv4)
		s.mark(PropIPv6)
		s.mark(PropNameservers)
		if s.settings.MDNS && s.m.multicastDNS {
			s.mark(PropMDNS)
		}
		s.m.settle.dns = true
		s.m.settle.hostnames = true
	}
	s.m.settle.order = true
}

func (s *Service) connected() {
	s.timeout.Stop()
	s.connectedAt = s.m.loop.Now()
	s.access.served()
	s.retry.reset()
	s.setFailure(NoFailure)
	s.answer(nil)
	if !s.favorite {
		s.favorite = true
		s.mark(PropFavorite)
		s.mark(PropAutoConnect)
	}
	if !s.stored {
		s.stored = true
		s.settings.Modified = time.Now()
		s.settingsDirty = true
	}
	if w := s.m.wishes[s.id]; w != nil {
		w.served, w.guard = true, s.full()
	}
	if s.m.cfg.SingleConnected && s.vpn == nil {
		s.m.disconnectOthers(s)
	}
}
