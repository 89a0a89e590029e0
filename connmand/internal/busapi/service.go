package busapi

import (
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/netcfg"
)

// service serves net.connman.Service.
type service struct {
	*API
	s *core.Service
}

func servicePath(s *core.Service) bus.ObjectPath { return bus.ObjectPath(servicePrefix + s.ID()) }

func (s service) GetProperties(call *bus.Call) { call.Reply(serviceProperties(s.s)) }

func (s service) SetProperty(call *bus.Call, name string, value bus.Variant) {
	s.confirm(call, s.set(name, value))
}

func (s service) set(name string, value bus.Variant) error {
	switch name {
	case connman.ServiceAutoConnect:
		return boolean(value, s.s.SetAutoConnect)
	case connman.ServiceNameserversConfiguration:
		return texts(value, s.s.SetNameservers)
	case connman.ServiceTimeserversConfiguration:
		return texts(value, s.s.SetTimeservers)
	case connman.ServiceDomainsConfiguration:
		return texts(value, s.s.SetDomains)
	case connman.ServiceMDNSConfiguration:
		return boolean(value, s.s.SetMDNS)
	case connman.ServiceProxyConfiguration:
		return dictionary(value, parseProxy, s.s.SetProxy)
	case connman.ServiceIPv4Configuration:
		return dictionary(value, parseIPv4, s.s.SetIPv4)
	case connman.ServiceIPv6Configuration:
		return dictionary(value, parseIPv6, s.s.SetIPv6)
	}
	return core.ErrInvalidProperty
}

// ClearProperty acknowledges an error; nothing else can be cleared.
func (s service) ClearProperty(call *bus.Call, name string) {
	if name != connman.ServiceError {
		answer(call, core.ErrInvalidProperty)
		return
	}
	s.s.ClearError()
	call.Reply()
}

func (s service) Connect(call *bus.Call) {
	s.s.Connect(call.Sender, func(err error) { answer(call, err) })
}

func (s service) Disconnect(call *bus.Call) {
	s.s.Disconnect(func(err error) { answer(call, err) })
}

func (s service) Remove(call *bus.Call) { s.confirm(call, s.s.Remove()) }

func (s service) MoveBefore(call *bus.Call, target bus.ObjectPath) {
	s.confirm(call, s.s.MoveBefore(s.at(target)))
}

func (s service) MoveAfter(call *bus.Call, target bus.ObjectPath) {
	s.confirm(call, s.s.MoveAfter(s.at(target)))
}

// ResetCounters succeeds: nothing is counted yet, so nothing is left to reset.
func (s service) ResetCounters(call *bus.Call) { call.Reply() }

// at returns the service at a path, or nil.
func (a *API) at(path bus.ObjectPath) *core.Service {
	id, ok := strings.CutPrefix(string(path), servicePrefix)
	if !ok {
		return nil
	}
	return a.core.Service(id)
}

// property returns a changed property's name and present value.
func property(c core.Change) (name string, value any) {
	s := c.Service
	switch c.Property {
	case core.PropState:
		return connman.ServiceState, string(c.State)
	case core.PropError:
		return connman.ServiceError, string(s.Failure())
	case core.PropSecurity:
		return connman.ServiceSecurity, list(s.Security())
	case core.PropStrength:
		return connman.ServiceStrength, s.Strength()
	case core.PropFavorite:
		return connman.ServiceFavorite, s.Favorite()
	case core.PropImmutable:
		return connman.ServiceImmutable, s.Immutable()
	case core.PropAutoConnect:
		return connman.ServiceAutoConnect, s.AutoConnect()
	case core.PropName:
		return connman.ServiceName, s.Name()
	case core.PropEthernet:
		return connman.ServiceEthernet, ethernetDict(s)
	case core.PropIPv4:
		return connman.ServiceIPv4, ipv4Dict(s)
	case core.PropIPv4Configuration:
		return connman.ServiceIPv4Configuration, ipv4ConfigDict(s.IPv4Configuration())
	case core.PropIPv6:
		return connman.ServiceIPv6, ipv6Dict(s)
	case core.PropIPv6Configuration:
		return connman.ServiceIPv6Configuration, ipv6ConfigDict(s.IPv6Configuration())
	case core.PropNameservers:
		return connman.ServiceNameservers, addrTexts(s.Nameservers())
	case core.PropNameserversConfiguration:
		return connman.ServiceNameserversConfiguration, list(s.Settings().Nameservers)
	case core.PropTimeservers:
		return connman.ServiceTimeservers, list(s.Timeservers())
	case core.PropTimeserversConfiguration:
		return connman.ServiceTimeserversConfiguration, list(s.Settings().Timeservers)
	case core.PropDomains:
		return connman.ServiceDomains, list(s.Domains())
	case core.PropDomainsConfiguration:
		return connman.ServiceDomainsConfiguration, list(s.Settings().Domains)
	case core.PropProxy:
		return connman.ServiceProxy, proxyDict(s.Proxy())
	case core.PropProxyConfiguration:
		return connman.ServiceProxyConfiguration, proxyDict(s.Settings().Proxy)
	case core.PropMDNS:
		return connman.ServiceMDNS, s.MDNS()
	case core.PropSplitRouting:
		return connman.ProviderSplitRouting, s.SplitRouting()
	case core.PropMDNSConfiguration:
		return connman.ServiceMDNSConfiguration, s.Settings().MDNS
	}
	return connman.ServiceLastAddressConflict, conflictDict(s)
}

// serviceProperties are all properties of a service, in the order in which
// clients have always seen them.
func serviceProperties(s *core.Service) bus.Dict {
	set := s.Settings()
	d := make(bus.Dict, 0, 28)
	add := func(key string, value any) { d = append(d, bus.Entry{Key: key, Value: value}) }
	add(connman.ServiceType, string(s.Type()))
	add(connman.ServiceSecurity, list(s.Security()))
	add(connman.ServiceState, string(s.State()))
	if f := s.Failure(); f != core.NoFailure {
		add(connman.ServiceError, string(f))
	}
	if strength := s.Strength(); strength > 0 {
		add(connman.ServiceStrength, strength)
	}
	add(connman.ServiceFavorite, s.Favorite())
	add(connman.ServiceImmutable, s.Immutable())
	add(connman.ServiceAutoConnect, s.AutoConnect())
	if name := s.Name(); name != "" {
		add(connman.ServiceName, name)
	}
	add(connman.ServiceEthernet, ethernetDict(s))
	add(connman.ServiceIPv4, ipv4Dict(s))
	add(connman.ServiceIPv4Configuration, ipv4ConfigDict(s.IPv4Configuration()))
	add(connman.ServiceIPv6, ipv6Dict(s))
	add(connman.ServiceIPv6Configuration, ipv6ConfigDict(s.IPv6Configuration()))
	add(connman.ServiceNameservers, addrTexts(s.Nameservers()))
	add(connman.ServiceNameserversConfiguration, list(set.Nameservers))
	add(connman.ServiceTimeservers, list(s.Timeservers()))
	add(connman.ServiceTimeserversConfiguration, list(set.Timeservers))
	add(connman.ServiceDomains, list(s.Domains()))
	add(connman.ServiceDomainsConfiguration, list(set.Domains))
	add(connman.ServiceProxy, proxyDict(s.Proxy()))
	add(connman.ServiceProxyConfiguration, proxyDict(set.Proxy))
	add(connman.ServiceMDNS, s.MDNS())
	add(connman.ServiceMDNSConfiguration, set.MDNS)
	add(connman.ServiceProvider, providerDict(s))
	if _, at, _ := s.LastConflict(); !at.IsZero() {
		add(connman.ServiceLastAddressConflict, conflictDict(s))
	}
	return d
}

// dictionary parses a value that must be a dictionary and hands it to set.
func dictionary[T any](value bus.Variant, parse func(bus.Dict) (T, error), set func(T) error) error {
	d, ok := value.Value.(bus.Dict)
	if !ok {
		return core.ErrInvalidArguments
	}
	parsed, err := parse(d)
	if err != nil {
		return err
	}
	return set(parsed)
}

// list is never nil: an empty list has a type too.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

func proxyDict(p netcfg.ProxyConfig) bus.Dict {
	d := bus.Dict{}
	if p.Method == "" {
		return d
	}
	if p.Method == netcfg.ProxyAuto && p.URL != "" {
		d = append(d, bus.Entry{Key: connman.ProxyURL, Value: p.URL})
	}
	if p.Method == netcfg.ProxyManual {
		d = append(d,
			bus.Entry{Key: connman.ProxyServers, Value: list(p.Servers)},
			bus.Entry{Key: connman.ProxyExcludes, Value: list(p.Excludes)})
	}
	return append(d, bus.Entry{Key: connman.ProxyMethod, Value: string(p.Method)})
}

// providerDict describes a VPN while it is connected.
func providerDict(s *core.Service) bus.Dict {
	info, ok := s.Provider()
	if !ok || !s.State().Connected() {
		return bus.Dict{}
	}
	d := bus.Dict{{Key: connman.ProviderHost, Value: info.Host}}
	if info.Domain != "" {
		d = append(d, bus.Entry{Key: connman.ProviderDomain, Value: info.Domain})
	}
	return append(d,
		bus.Entry{Key: connman.ProviderType, Value: info.Type},
		bus.Entry{Key: connman.ProviderSplitRouting, Value: info.Split})
}
