package router

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Config says what the router is like.
type Config struct {
	// Interface is the port to the home network, up.
	Interface string
	// Address is the router's own on that network, already on the interface.
	Address netip.Prefix
	// First is the first address to lease; Count is how many follow one
	// another from there.
	First netip.Addr
	Count int
	// Lease is how long an address is given for, in whole seconds; the client
	// derives T1 and T2 from it.
	Lease time.Duration
	// Domain is option 15, left out when empty.
	Domain string
	// Answer, unless nil, has the last word on each answer of the DHCP
	// server: it may change the reply, replace it, or return nil for silence.
	// The reply is nil where the server has none to give.
	Answer func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4
	// Names, unless nil, says what addresses a name has; of one that it doesn't
	// know, the router says that it is its own. It may be called on any goroutine.
	Names func(name string) []netip.Addr
	// DHCPOnly leaves out the name server and the web server.
	DHCPOnly bool
}

// Router is a running router.
type Router struct {
	DHCP *Server
	// Web is nil with Config.DHCPOnly.
	Web   *Web
	names *names
}

// Start starts a router in the calling thread's network namespace.
func Start(config Config) (*Router, error) {
	r := &Router{}
	var err error
	if r.DHCP, err = startDHCP(config); err != nil {
		return nil, fmt.Errorf("cannot start the DHCP server: %w", err)
	}
	if config.DHCPOnly {
		return r, nil
	}
	if r.names, err = startNames(config.Address.Addr(), config.Names); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the name server: %w", err), r.Close())
	}
	if r.Web, err = startWeb(config.Address.Addr()); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the web server: %w", err), r.Close())
	}
	return r, nil
}

// Close stops the router and waits for its goroutines.
func (r *Router) Close() error {
	errs := []error{r.DHCP.close()}
	if r.names != nil {
		errs = append(errs, r.names.close())
	}
	if r.Web != nil {
		errs = append(errs, r.Web.close())
	}
	return errors.Join(errs...)
}
