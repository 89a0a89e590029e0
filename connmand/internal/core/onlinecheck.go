package core

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/loop"
)

// onlineCheck probes a connected service's way to the Internet. Only the
// default service is checked and, in continuous mode, services that lost
// their trust, so that they can win it back.
type onlineCheck struct {
	s      *Service
	probes []*probe // under way
	timer  *loop.Timer
	step   int // of the series that spaces the checks

	failures, successes int // in a row
	demoted             bool
	lastError           string // as last logged
}

func (o *onlineCheck) init(s *Service) {
	o.s = s
	o.step = s.m.cfg.OnlineCheck.InitialInterval
}

// active reports whether a probe runs or is due.
func (o *onlineCheck) active() bool { return len(o.probes) > 0 || o.timer != nil }

// start begins to check unless that is under way, done or not wanted.
func (o *onlineCheck) start() {
	if o.active() || o.s.shut() || o.s.state != Ready || o.s.m.cfg.OnlineCheck.Mode == OnlineCheckNone {
		return
	}
	o.probe()
}

// again begins anew because what was checked has changed.
func (o *onlineCheck) again() {
	if !o.active() && o.s.m.defaultService() != o.s {
		return
	}
	o.halt()
	if o.s.state.Connected() && !o.s.shut() && o.s.m.cfg.OnlineCheck.Mode != OnlineCheckNone {
		o.probe()
	}
}

// stop ends the checking and forgets what was counted.
func (o *onlineCheck) stop() {
	o.halt()
	o.forget()
}

func (o *onlineCheck) halt() {
	for _, p := range o.probes {
		p.cancel()
	}
	o.probes = nil
	o.timer.Stop()
	o.timer = nil
}

func (o *onlineCheck) forget() {
	o.step = o.s.m.cfg.OnlineCheck.InitialInterval
	o.failures, o.successes = 0, 0
	o.demoted = false
	o.lastError = ""
}

// probe is the check of one family.
type probe struct {
	family *State
	name   string
	req    ProbeRequest
	cancel func()
	result ProbeResult
}

// probe checks both families at once, as far as they have an address.
func (o *onlineCheck) probe() {
	o.timer = nil
	if o.s.shut() {
		return // the check would go around the VPN
	}
	s, urls := o.s, o.s.m.cfg.OnlineCheck
	round := []*probe{}
	add := func(family *State, name, url string, link Link, source netip.Addr) {
		if !family.Connected() || !source.IsValid() {
			return
		}
		round = append(round, &probe{family: family, name: name, req: ProbeRequest{
			Link:           link,
			URL:            url,
			Source:         source,
			Nameservers:    s.Nameservers(),
			ConnectTimeout: urls.ConnectTimeout,
		}})
	}
	link := s.Device().Link
	add(&s.ipv4.state, "ipv4", urls.IPv4URL, link, s.ipv4.config.Address.Addr())
	switch {
	case s.ipv6.tunnel.ready:
		add(&s.ipv6.state, "ipv6", urls.IPv6URL, s.ipv6.tunnel.link, s.ipv6.shown.Address.Addr())
	case s.ipv6.routable():
		add(&s.ipv6.state, "ipv6", urls.IPv6URL, link, s.ipv6.shown.Address.Addr())
	}
	o.probes = slices.Clone(round)
	for _, p := range round {
		p.cancel = s.m.ports.Prober.Probe(p.req, func(r ProbeResult) { o.probed(p, r, round) })
	}
}

// probed takes in one result; the last of a round leads to conclusions.
func (o *onlineCheck) probed(p *probe, r ProbeResult, round []*probe) {
	p.result = r
	o.probes = slices.DeleteFunc(o.probes, func(other *probe) bool { return other == p })
	if r.Online && o.trusted() {
		o.s.setOnline(p.family, p.name)
	}
	if len(o.probes) > 0 {
		return
	}
	best := round[0].result
	for _, p := range round {
		if p.result.Online {
			best = p.result
		}
	}
	if o.conclude(best) {
		o.schedule()
	}
	if o.trusted() {
		for _, p := range round {
			if p.result.Online {
				o.s.setOnline(p.family, p.name)
			}
		}
	}
}

// trusted reports whether a good result makes the service online.
func (o *onlineCheck) trusted() bool {
	if o.s.m.cfg.OnlineCheck.Mode != OnlineCheckContinuous {
		return true
	}
	return !o.demoted && o.s.m.defaultService() == o.s
}

// setOnline makes a family that is ready online.
func (s *Service) setOnline(family *State, name string) {
	if *family == Ready && s.setFamilyState(family, Online, name, "online check") {
		s.updateState("online check")
	}
}

// conclude draws the conclusions of a round and reports whether another one is
// to follow.
func (o *onlineCheck) conclude(r ProbeResult) (more bool) {
	o.logChange(r)
	continuous := o.s.m.cfg.OnlineCheck.Mode == OnlineCheckContinuous
	switch {
	case !r.Online && continuous:
		return o.failed()
	case continuous:
		return o.succeeded()
	}
	return !r.Online
}

func (o *onlineCheck) succeeded() bool {
	cfg := o.s.m.cfg.OnlineCheck
	o.successes++
	o.failures = 0
	switch {
	case !o.demoted:
		o.step = cfg.MaxInterval
	case o.successes >= cfg.Successes:
		o.s.m.log.Info("service trusted again", "service", o.s.id, "successes", o.successes)
		o.forget()
		o.step = cfg.MaxInterval
		o.s.setFailure(NoFailure)
		o.s.m.settle.order = true
		o.s.m.sort()
	case o.successes == 1:
		o.step = cfg.InitialInterval
	}
	return o.wanted()
}

func (o *onlineCheck) failed() bool {
	cfg := o.s.m.cfg.OnlineCheck
	o.failures++
	o.successes = 0
	if o.failures == 1 {
		o.step = cfg.InitialInterval
	}
	if !o.demoted && o.failures >= cfg.Failures {
		o.demoted = true
		o.s.m.log.Warn("service no longer trusted", "service", o.s.id, "failures", o.failures)
		o.s.setReady("online check failed")
		o.s.setFailure(OnlineCheckFailed)
		o.s.m.settle.order = true
	}
	return o.wanted()
}

// wanted reports whether continuous checks go on for this service.
func (o *onlineCheck) wanted() bool {
	return o.demoted || o.s.m.defaultService() == o.s
}

func (o *onlineCheck) schedule() {
	wait := interval(o.s.m.cfg.OnlineCheck.IntervalStyle, o.step)
	o.step = min(o.step+1, o.s.m.cfg.OnlineCheck.MaxInterval)
	o.timer = o.s.m.loop.After("online check "+o.s.id, wait, o.probe)
}

// interval is the wait at a step of the series.
func interval(style IntervalStyle, step int) time.Duration {
	seconds := step * step
	if style == Fibonacci {
		seconds = 0
		for following := 1; step > 0; step-- {
			seconds, following = following, seconds+following
		}
	}
	return time.Duration(seconds) * time.Second
}

// logChange logs an outcome that differs from the one before, not every
// repetition of it.
func (o *onlineCheck) logChange(r ProbeResult) {
	text := ""
	switch {
	case r.Portal != "":
		text = "captive portal at " + r.Portal
	case !r.Online && o.s.portal() != "":
		text = "the network announces a captive portal, see " + o.s.portal()
	case !r.Online && r.Err != nil:
		text = r.Err.Error()
	}
	if text != o.lastError && text != "" {
		o.s.m.log.Warn("not online", "service", o.s.id, "because", text)
	}
	if r.Online && o.lastError != "" {
		o.s.m.log.Info("online again", "service", o.s.id)
	}
	o.lastError = text
}

// portal is where the network says that its captive portal answers programs
// (RFC 8910), "" if it does not speak of any.
func (s *Service) portal() (url string) {
	if l := s.ipv4.lease; l != nil {
		url = l.Portal
	}
	if l := s.ipv6.lease; l != nil {
		url = cmp.Or(url, l.Portal)
	}
	if info := s.ipv6.info; info != nil {
		url = cmp.Or(url, info.Portal)
	}
	return url
}

// addressChanged follows a new address of a connected service.
func (s *Service) addressChanged() {
	s.m.settle.dns = true
	s.m.settle.hostnames = true
	s.m.settle.order = true
	if s.state.Connected() {
		s.online.again()
	}
}
