package home

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// Home is a machine and its router.
type Home struct {
	Machine *lab.Host
	Bus     *lab.Bus
	Gateway *lab.Host
	Router  *router.Router
	// Links are the machine's interfaces eth0, eth1 and so on, down; Ports are
	// their far ends at the router.
	Links, Ports []lab.End
}

// Address is the router's on the home network, and Network's prefix length.
var Address = netip.MustParsePrefix("10.77.0.1/20")

// first is the first address for clients.
var first = netip.MustParseAddr("10.77.1.0")

// New builds a home with the given number of links, all cables unplugged. It
// changes the router's configuration by adjust, unless that is nil.
func New(l *lab.Lab, links int, adjust func(*router.Config)) (*Home, error) {
	h := &Home{}
	var err error
	if h.Machine, err = l.Host("machine"); err != nil {
		return nil, err
	}
	if h.Gateway, err = l.Host("gateway"); err != nil {
		return nil, err
	}
	if h.Bus, err = h.Machine.StartBus(); err != nil {
		return nil, err
	}
	bridge, err := h.Gateway.Bridge("home", Address.String())
	if err != nil {
		return nil, err
	}
	for i := range links {
		if err := h.lay(l, i, bridge); err != nil {
			return nil, err
		}
	}
	config := router.Config{
		Interface: bridge.Name(),
		Address:   Address,
		First:     first,
		Count:     2000,
		Lease:     time.Hour,
		Domain:    "home.test",
	}
	if adjust != nil {
		adjust(&config)
	}
	err = h.Gateway.Do(func() (err error) {
		h.Router, err = router.Start(config)
		return err
	})
	return h, err
}

// lay connects the machine's link i to the router's switch.
func (h *Home) lay(l *lab.Lab, i int, bridge lab.End) error {
	mac := net.HardwareAddr{0x02, 0x77, 0x02, 0x00, byte(i >> 8), byte(i)}
	link, port, err := l.Cable(h.Machine, fmt.Sprintf("eth%d", i), mac, h.Gateway, fmt.Sprintf("port%d", i))
	if err != nil {
		return err
	}
	if err := h.Gateway.Netlink.LinkSetMasterByIndex(port.Link, bridge.Index()); err != nil {
		return fmt.Errorf("cannot connect %s: %w", port.Name(), err)
	}
	// The router is everyone's only partner. Flooded broadcasts would make the
	// kernel's work grow with the square of the links.
	if err := h.Gateway.Netlink.LinkSetIsolated(port.Link, true); err != nil {
		return fmt.Errorf("cannot isolate %s: %w", port.Name(), err)
	}
	h.Links, h.Ports = append(h.Links, link), append(h.Ports, port)
	return port.FullChecksums()
}

// handful is how many cables are plugged in before the kernel must have told of
// their carriers. It tells of that many at once; had it more to tell of, it would
// spread the rest over seconds, a hundred in each.
const handful = 50

// Plug plugs in every cable, no faster than the kernel tells of it.
func (h *Home) Plug() error {
	var before []lab.End
	told := func(port lab.End) error { return lab.Eventually(time.Minute, port.Told) }
	for ports := range slices.Chunk(h.Ports, handful) {
		if err := errors.Join(each(before, told), each(ports, lab.End.Up)); err != nil {
			return err
		}
		before = ports
	}
	return nil
}

// Unplug pulls every cable.
func (h *Home) Unplug() error { return each(h.Ports, lab.End.Down) }

func each(ends []lab.End, do func(lab.End) error) error {
	var errs []error
	for _, end := range ends {
		errs = append(errs, do(end))
	}
	return errors.Join(errs...)
}

// Close stops the router; the rest goes with the lab.
func (h *Home) Close() error { return h.Router.Close() }
