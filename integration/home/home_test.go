//go:build netns

package home_test

import (
	"errors"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// TestManagersGetAnAddress proves the home, and the way that the lab runs each
// network manager: whatever else they do, they get a lease here.
func TestManagersGetAnAddress(t *testing.T) {
	for _, manager := range []lab.Manager{lab.Ours(), lab.Reference(), lab.NetworkManager(), lab.Networkd()} {
		t.Run(manager.Name, func(t *testing.T) {
			l := lab.ForTest(t)
			h, err := home.New(l, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := h.Plug(); err != nil {
				t.Fatal(err)
			}
			if _, err := manager.Run(h.Machine, h.Bus); err != nil {
				t.Fatal(err)
			}
			for _, link := range h.Links {
				if err := lab.Eventually(20*time.Second, func() error { return leased(link) }); err != nil {
					t.Errorf("%s: %v", link.Name(), err)
				}
			}
		})
	}
}

func leased(link lab.End) error {
	addresses, err := link.Host.Netlink.AddrList(link.Link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if home.Address.Masked().Addr().As4()[1] == address.IP.To4()[1] {
			return nil
		}
	}
	return errors.New("no address from the router")
}
