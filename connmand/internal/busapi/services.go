package busapi

import (
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// services tells the bus of services that come, go, change and move.
type services struct {
	api   *API
	shown map[*core.Service]*shown

	// What the next ServicesChanged says. Until it is sent, a new service's
	// properties change silently: the signal brings them all.
	dirty   bool
	new     map[*core.Service]bool
	gone    []bus.ObjectPath
	last    time.Time
	waiting *loop.Timer
}

// shown is a service on the bus.
type shown struct {
	path    bus.ObjectPath
	encoded bus.EncodedObject // its reply in GetServices, nil when it must be made anew
}

func (s *services) init(a *API) {
	s.api = a
	s.shown = map[*core.Service]*shown{}
	s.new = map[*core.Service]bool{}
}

func (s *services) added(svc *core.Service) {
	view := &shown{path: servicePath(svc)}
	s.shown[svc] = view
	s.new[svc] = true
	s.dirty = true
	if err := s.api.conn.Export(view.path, connman.ServeService(service{s.api, svc})); err != nil {
		s.api.log.Error("cannot show service", "err", err)
	}
}

func (s *services) removed(svc *core.Service) {
	view := s.shown[svc]
	delete(s.shown, svc)
	s.dirty = true
	s.api.conn.Unexport(view.path)
	if s.new[svc] {
		delete(s.new, svc) // nobody has heard of it
		return
	}
	s.gone = append(s.gone, view.path)
}

func (s *services) changed(c core.Change) {
	view := s.shown[c.Service]
	if view == nil {
		return
	}
	view.encoded = nil
	if s.new[c.Service] {
		return
	}
	name, value := property(c)
	connman.EmitServicePropertyChanged(s.api.conn, view.path, name, bus.Variant{Value: value})
}

func (s *services) reordered() { s.dirty = true }

// send sends ServicesChanged now, or as soon as the last one is old enough. A
// daemon that ends has no later.
func (s *services) send() {
	if !s.dirty {
		return
	}
	now := s.api.loop.Now()
	interval := max(servicesInterval, time.Duration(len(s.shown))*servicesEach)
	if wait := interval - now.Sub(s.last); wait > 0 && !s.last.IsZero() && !s.api.core.Stopping() {
		if s.waiting == nil {
			s.waiting = s.api.loop.After("ServicesChanged", wait, func() { s.waiting = nil })
		}
		return
	}
	s.last = now
	s.dirty = false
	list := []bus.Object{}
	for _, svc := range s.api.core.Services() {
		view := s.shown[svc]
		if view == nil {
			continue // added while this turn's changes were being told
		}
		o := bus.Object{Path: view.path}
		if s.new[svc] {
			o.Properties = serviceProperties(svc)
		}
		list = append(list, o)
	}
	gone := s.gone
	if gone == nil {
		gone = []bus.ObjectPath{}
	}
	connman.EmitManagerServicesChanged(s.api.conn, managerPath, list, gone)
	clear(s.new)
	s.gone = nil
}

// encoded lists all services as GetServices returns them.
func (s *services) encoded() []bus.EncodedObject {
	list := make([]bus.EncodedObject, 0, len(s.shown))
	for _, svc := range s.api.core.Services() {
		view := s.shown[svc]
		if view == nil {
			view = &shown{path: servicePath(svc)}
		}
		if view.encoded == nil {
			view.encoded = bus.EncodeObject(bus.Object{Path: view.path, Properties: serviceProperties(svc)})
		}
		list = append(list, view.encoded)
	}
	return list
}
