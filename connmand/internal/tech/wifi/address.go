package wifi

import (
	"errors"
	"fmt"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/bus"
)

var errFixedAddress = errors.New("the adapter does not tell its own hardware address, so no other one is used")

// address is the hardware address that the network gets to see.
func (n *network) address(policy core.AddressPolicy) string {
	own := identity(n.a.link)
	switch policy {
	case core.AddressStable:
		return n.a.b.StableAddress(n.ssid, own)
	case core.AddressRandom:
		return n.a.b.RandomAddress()
	}
	return own
}

// appearAs gives the adapter a hardware address, unless it has it; done hears when
// it is in use. Without it nothing may be sent: it is there to say nothing of the
// machine.
func (a *adapter) appearAs(address string, done func(error)) {
	switch {
	case a.link.HardwareAddr == address:
		done(nil)
		return
	case a.link.Permanent == "":
		a.b.Loop.Post("cannot change address", func() { done(errFixedAddress) })
		return
	}
	if a.path != "" && a.lost == nil {
		// The adapter is off for a moment, for which the supplicant may forget all
		// that it has heard.
		a.lost = map[bus.ObjectPath]bool{}
	}
	a.b.Links.SetHardwareAddr(a.link.Index, address, func(err error) {
		if err != nil {
			err = fmt.Errorf("cannot change the hardware address of %s: %w", a.link.Name, err)
		}
		done(err)
	})
}

// reveal gives the adapter its own address back, as nobody uses it.
func (a *adapter) reveal(done func()) {
	if a.gone || a.on {
		done()
		return
	}
	a.appearAs(identity(a.link), func(err error) {
		if err != nil && !errors.Is(err, kernel.ErrNoLink) {
			a.b.Log.Warn("adapter stays disguised", "err", err)
		}
		done()
	})
}

// settle forgets the access points that were not heard again after the adapter was
// off for a moment.
func (a *adapter) settle() {
	lost := a.lost
	a.lost = nil
	for path := range lost {
		a.unheard(path)
	}
}
