package core

import (
	"time"

	"net.connman/pkg/loop"
)

// onlineCheck probes a connected service's way to the Internet. Only the
// default service is checked and, in continuous mode, services that lost
// their trust, so that they can win it back.
type onlineCheck struct {
	s      *Service
	cancel func() // of the probe under way
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
func (o *onlineCheck) active() bool { return o.cancel != nil || o.timer != nil }

// start begins to check unless that is under way, done or not wanted.
func (o *onlineCheck) start() {
	if o.active() || o.s.state != Ready || o.s.m.cfg.OnlineCheck.Mode == OnlineCheckNone {
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
	if o.s.state.Connected() && o.s.m.cfg.OnlineCheck.Mode != OnlineCheckNone {
		o.probe()
	}
}

// stop ends the checking and forgets what was counted.
func (o *onlineCheck) stop() {
	o.halt()
	o.forget()
}

func (o *onlineCheck) halt() {
	if o.cancel != nil {
		o.cancel()
		o.cancel = nil
	}
	o.timer.Stop()
	o.timer = nil
}

func (o *onlineCheck) forget() {
	o.step = o.s.m.cfg.OnlineCheck.InitialInterval
	o.failures, o.successes = 0, 0
	o.demoted = false
	o.lastError = ""
}

func (o *onlineCheck) probe() {
	s := o.s
	o.timer = nil
	o.cancel = s.m.ports.Prober.Probe(ProbeRequest{
		Link:           s.Device().Link,
		URL:            s.m.cfg.OnlineCheck.IPv4URL,
		Source:         s.ipv4.config.Address.Addr(),
		Nameservers:    s.Nameservers(),
		ConnectTimeout: s.m.cfg.OnlineCheck.ConnectTimeout,
	}, func(r ProbeResult) {
		o.cancel = nil
		if o.conclude(r) {
			o.schedule()
		}
	})
}

// conclude draws the conclusions of a probe and reports whether another one is
// to follow.
func (o *onlineCheck) conclude(r ProbeResult) (more bool) {
	o.logChange(r)
	continuous := o.s.m.cfg.OnlineCheck.Mode == OnlineCheckContinuous
	switch {
	case !r.Online && continuous:
		return o.failed()
	case !r.Online:
		return true
	case continuous:
		return o.succeeded()
	}
	o.s.ipv4.setState(Online, "online check")
	return false
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
	if !o.demoted && o.s.m.defaultService() == o.s {
		o.s.ipv4.setState(Online, "online check")
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
		o.s.ipv4.setState(Ready, "online check failed")
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

// addressChanged follows a new address of a connected service.
func (s *Service) addressChanged() {
	s.m.settle.dns = true
	s.m.settle.hostnames = true
	s.m.settle.order = true
	if s.state.Connected() {
		s.online.again()
	}
}
